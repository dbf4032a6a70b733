from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ktse.data.folder import Folder, list_splits, read_classes
from ktse.data.image_io import write_label_map
from ktse.errors import DataError


@pytest.fixture
def root(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    """Two training images, one of them below a folder, and a validation image of a class of its own."""
    folder = tmp_path / "photos"
    save_image(folder / "images" / "a.png", (10, 20, 30))
    save_image(folder / "images" / "deep" / "b.png", (40, 50, 60))
    save_image(folder / "images" / "c.png")
    (folder / "train.csv").write_text("image,tags\na.png,dog;cat\ndeep/b.png,\n")
    (folder / "val.csv").write_text("image,tags\nc.png,bird\n")
    return folder


def test_a_folder_is_read_as_it_is_described(root: Path) -> None:
    dataset = Folder(root)
    assert (dataset.name, dataset.split, len(dataset)) == ("photos", "train", 2)
    assert dataset.ids == ("a", "deep/b")
    assert dataset.classes.names == ("bird", "cat", "dog")  # sorted, of all splits
    assert dataset.tags.tolist() == [[False, True, True], [False, False, False]]
    assert dataset.image(1)[0, 0].tolist() == [40, 50, 60]
    assert not dataset.has_masks
    assert dataset.mask(0) is None
    assert Folder(root, "val").classes == dataset.classes


def test_listed_classes_keep_their_order(root: Path) -> None:
    (root / "classes.txt").write_text("\ufeffdog\r\n\r\n cat \nbird\nfish\n", encoding="utf-8")
    assert Folder(root).classes.names == ("dog", "cat", "bird", "fish")
    assert Folder(root).tags.tolist() == [[True, True, False, False], [False] * 4]


def test_masks_are_found_by_id(root: Path) -> None:
    (root / "classes.txt").write_text("dog\ncat\nbird\n")
    labels = np.full((6, 8), 3)
    write_label_map(root / "masks" / "deep" / "b.png", labels)
    dataset = Folder(root)
    assert dataset.has_masks
    assert dataset.mask(0) is None
    assert (dataset.mask(1) == labels).all()
    assert not Folder(root, "val").has_masks
    write_label_map(root / "masks" / "deep" / "b.png", labels + 1)
    with pytest.raises(DataError, match=r"labels \[4\], expected 0..3"):
        dataset.mask(1)


def test_large_images_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match="at most 47"):
        Folder(root, max_pixels=47).image(0)


def test_splits_are_the_tables_with_tags(root: Path) -> None:
    (root / "sizes.csv").write_text("name,size\na,1\n")
    assert list_splits(root) == ["train", "val"]


def broken(root: Path, fault: str) -> None:
    table = root / "train.csv"
    match fault:
        case "no images folder":
            (root / "images").rename(root / "pictures")
        case "no table":
            table.unlink()
        case "no table at all":
            table.unlink()
            (root / "val.csv").unlink()
        case "empty table":
            table.write_text("")
        case "unknown tag":
            (root / "classes.txt").write_text("dog\ncats\nbird\n")
        case "missing images":
            table.write_text("image,tags\n" + "".join(f"gone{index}.png,dog\n" for index in range(5)))
        case "escape":
            table.write_text("image,tags\na.png,dog\n../../secret.png,dog\n")
        case "twice":
            table.write_text("image,tags\na.png,dog\n./a.png,cat\n")
        case "same id":
            (root / "images" / "a.jpg").write_bytes((root / "images" / "a.png").read_bytes())
            table.write_text("image,tags\na.png,dog\na.jpg,cat\n")
        case "no class":
            table.write_text("image,tags\na.png,\n")
            (root / "val.csv").unlink()
        case "masks without names":
            (root / "masks").mkdir()
        case "classes not text":
            (root / "classes.txt").write_bytes(b"\xff\xfe\xff")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no images folder", "has no folder images/"),
        ("no table", r"there is no .*train\.csv' for split 'train'.* Known are: 'val'"),
        ("no table at all", r"Write train\.csv with the header image,tags"),
        ("empty table", r"train\.csv' is empty"),
        ("unknown tag", r"train\.csv', line 2: unknown tag 'cat'. Did you mean 'cats'"),
        ("missing images", r"lists 5 image.s. that are not in .*: 'gone0.png', 'gone1.png', 'gone2.png' …"),
        ("escape", r"train\.csv', line 3: image path '../../secret.png' leads out"),
        ("twice", r"'a.png' \(line 2\) and './a.png' \(line 3\) share the id 'a'"),
        ("same id", r"'a.png' \(line 2\) and 'a.jpg' \(line 3\) share the id 'a'"),
        ("no class", "at least one class"),
        ("masks without names", r"masks but no classes\.txt"),
        ("classes not text", r"classes\.txt' cannot be read"),
    ],
)
def test_each_fault_has_its_line(root: Path, fault: str, message: str) -> None:
    broken(root, fault)
    with pytest.raises(DataError, match=message) as caught:
        Folder(root)
    assert "\n" not in str(caught.value)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        Folder(tmp_path / "nowhere")


def test_real_photographs(shared_data: Path) -> None:
    train, val = (Folder(shared_data / "clothes", split) for split in ("train", "val"))
    assert (len(train), len(val), train.classes.count) == (1184, 160, 11)
    assert train.classes == val.classes == read_classes(shared_data / "clothes")
    per_image = train.tags.sum(axis=1)
    assert ((per_image == 0).sum(), (per_image == 1).sum()) == (1, 25)
    assert train.has_masks
    masked = next(index for index in range(len(train)) if train.mask(index) is not None)
    sample = train.sample(masked, with_mask=True)
    assert sample.mask is not None
    assert sample.mask.shape == sample.image.shape[:2]
    shown = np.unique(sample.mask[(sample.mask > 0) & (sample.mask != 255)]) - 1
    assert sample.tags[shown].all()
