from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ktse.data.tag_sources import find_source, list_splits, read_source, tag_files
from ktse.errors import DataError

Lay = Callable[..., Path]


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Make empty files; no source looks into an image."""

    def make(*names: str, **texts: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        for split, text in texts.items():
            (tmp_path / f"{split}.csv").write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("names", "kind", "place"),
    [
        (("train.csv", "train/cat/1.png"), "file", "train.csv"),
        (("train.json",), "file", "train.json"),
        (("train.jsonl", "a [1].png"), "file", "train.jsonl"),
        (("train.xml",), "file", "train.xml"),
        (("train/cat/1.png",), "folders", "train"),
        (("images/cat/1.png",), "folders", "images"),
        (("cat/1.png", "masks/cat/1.png"), "folders", ""),
        (("a [1].png", "masks/a [1].png"), "names", ""),
        (("images/a [1].png",), "names", "images"),
        (("train/a [1].png",), "names", "train"),
    ],
)
def test_where_tags_are_found(lay: Lay, names: tuple[str, ...], kind: str, place: str) -> None:
    root = lay(*names)
    source = find_source(root, "train")
    assert (source.kind, source.place) == (kind, root / place)


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        (("train.csv", "train.json", "train.xml"), "train", "has 'train.csv' and 'train.json' and 'train.xml'"),
        (("val.json",), "train", "there is no .*train.csv.*Known are: 'val'"),
        (("cat/a [1].png",), "train", "lie in folders and have digits in their names"),
        (("a.png", "b.png"), "train", "nothing says the tags of the images.*Write train.csv"),
        (("notes.txt",), "train", "there are no images in"),
        (("val/cat/1.png",), "train", "neither a file of tags nor a folder for split 'train'. Known are: 'val'"),
        (("cat/1.png",), "val", "neither a file of tags nor a folder for split 'val'"),
    ],
    ids=["files", "other split", "folders and names", "nothing", "no images", "other folder", "no such split"],
)
def test_what_is_ambiguous_or_missing_is_named(lay: Lay, names: tuple[str, ...], split: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_source(lay(*names), split)


def test_splits(lay: Lay) -> None:
    root = lay("cat/1.png")
    assert list_splits(root) == ["train"]
    lay("val/cat/1.png", "train/cat/1.png")
    assert list_splits(root) == ["train", "val"]
    lay("test.json", sizes="name,size\n", mine="image,tags\n")
    (root / "package.json").write_text('{"name": 7}')
    (root / "dev.jsonl").write_text('{"image": "a.jpg", "tags": []}')
    assert list_splits(root) == ["dev", "mine", "test"]
    assert tag_files(root, "dev") == [root / "dev.jsonl"]


def test_faults_of_folders_name_the_folder(lay: Lay) -> None:
    root = lay("images/a.png", "images/cat/1.png")
    with pytest.raises(DataError, match=r"images': 1 image.s. lie beside"):
        read_source(find_source(root, "train"), None)
