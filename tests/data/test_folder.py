from __future__ import annotations

import json
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


def test_images_may_lie_anywhere_below_the_root(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    save_image(tmp_path / "2023" / "a.png", (1, 2, 3))
    save_image(tmp_path / "images" / "b.png")
    save_image(tmp_path / "images" / "deep" / "c.png")
    (tmp_path / "train.csv").write_text("image;tags\n2023/a.png;cat\nimages/b.png;\ndeep\\c.png;dog,cat\n")
    dataset = Folder(tmp_path)
    assert dataset.ids == ("2023/a", "b", "deep/c")
    assert dataset.file(0) == tmp_path / "2023" / "a.png"
    assert dataset.image(0)[0, 0].tolist() == [1, 2, 3]
    assert dataset.tags.tolist() == [[True, False], [False, False], [True, True]]


def test_folders_of_classes(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    for name in ("train/cat/1", "train/cat/deep/2", "train/dog/1", "train/background/3", "val/dog/4", "val/bird/5"):
        save_image(tmp_path / f"{name}.png")
    train, val = Folder(tmp_path), Folder(tmp_path, "val")
    assert train.classes.names == val.classes.names == ("bird", "cat", "dog")
    assert train.ids == ("train/background/3", "train/cat/1", "train/cat/deep/2", "train/dog/1")
    assert train.tags.astype(int).tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert val.image(0).shape == (6, 8, 3)


@pytest.mark.parametrize("place", ["", "images/"], ids=["root", "images"])
def test_folders_of_classes_without_splits(tmp_path: Path, save_image: Callable[..., Path], place: str) -> None:
    for name in ("cat/1", "none/2"):
        save_image(tmp_path / f"{place}{name}.png")
    (tmp_path / "classes.txt").write_text("none\ncat\n")
    write_label_map(tmp_path / "masks" / "cat" / "1.png", np.full((6, 8), 2))
    dataset = Folder(tmp_path)
    assert dataset.ids == ("cat/1", "none/2")
    assert dataset.tags.tolist() == [[False, True], [True, False]]
    assert (dataset.mask(0) == 2).all()


def test_digits_in_names(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    for name in ("a [010]", "b [000]", "c [110]"):
        save_image(tmp_path / "train" / f"{name}.png")
    write_label_map(tmp_path / "masks" / "train" / "a [010].png", np.full((6, 8), 2))
    dataset = Folder(tmp_path)
    assert dataset.classes.names == ("class1", "class2", "class3")
    assert dataset.tags.astype(int).tolist() == [[0, 1, 0], [0, 0, 0], [1, 1, 0]]
    assert (dataset.mask(0) == 2).all()
    (tmp_path / "classes.txt").write_text("x\ny\nz\n")
    assert Folder(tmp_path).classes.names == ("x", "y", "z")


def test_one_class_is_enough(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    save_image(tmp_path / "crack" / "1.png")
    save_image(tmp_path / "background" / "2.png")
    assert Folder(tmp_path).classes.names == ("crack",)
    assert Folder(tmp_path).tags.tolist() == [[False], [True]]


def test_tags_of_label_studio_find_images_by_their_own_name(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    save_image(tmp_path / "images" / "street 1.png")
    task = {
        "data": {"image": "/data/upload/7/0a1b2c3d-street%201.png"},
        "annotations": [{"result": [{"type": "choices", "value": {"choices": ["cat"]}}]}],
    }
    (tmp_path / "train.json").write_text(json.dumps([task]))
    assert Folder(tmp_path).ids == ("street 1",)


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
        case "two tables":
            (root / "train.json").write_text("{}")
        case "escape by backslashes":
            table.write_text("image,tags\n..\\secret.png,dog\n")
        case "escape by drive":
            table.write_text("image,tags\nC:/secret.png,dog\n")
        case "endless name":
            table.write_text(f"image,tags\n{'x' * 5000}.png,dog\n")
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
        case "same file on some systems":
            (root / "images" / "A.png").write_bytes((root / "images" / "a.png").read_bytes())
            table.write_text("image,tags\na.png,dog\nA.png,cat\n")
        case "no class":
            table.write_text("image,tags\na.png,\n")
            (root / "val.csv").unlink()
        case "no class listed":
            (root / "classes.txt").write_text("\n")
        case "background as a tag":
            (root / "val.csv").write_text("image,tags\na.png,dog\nc.png,dog;Background\n")
        case "masks without names":
            (root / "masks").mkdir()
        case "classes not text":
            (root / "classes.txt").write_bytes(b"\xff\xfe\xff")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no images folder", "lists 2 image.s. that are not in .*photos': 'a.png', 'deep/b.png'"),
        ("no table", r"there is no .*train\.csv' .*for split 'train'.* Known are: 'val'"),
        ("no table at all", r"2 image.s. lie beside the folders of the classes, 'a.png' first.*write all tags"),
        ("two tables", r"has 'train.csv' and 'train.json' for split 'train'\. Keep the one"),
        ("escape by backslashes", r"train\.csv', line 2: image path '\.\./secret.png' leads out"),
        ("escape by drive", r"train\.csv', line 2: image path 'C:/secret.png' leads out"),
        ("endless name", r"lists 1 image.s. that are not in"),
        ("empty table", r"train\.csv' is empty"),
        ("unknown tag", r"train\.csv', line 2: unknown tag 'cat'. Did you mean 'cats'"),
        ("missing images", r"lists 5 image.s. that are not in .*: 'gone0.png', 'gone1.png', 'gone2.png' …"),
        ("escape", r"train\.csv', line 3: image path '../../secret.png' leads out"),
        ("twice", r"'a.png' \(line 2\) and './a.png' \(line 3\) share the id 'a'"),
        ("same id", r"'a.png' \(line 2\) and 'a.jpg' \(line 3\) share the id 'a'"),
        (
            "same file on some systems",
            r"'a.png' \(line 2\) and 'A.png' \(line 3\) have the ids 'a' and 'A', .* rename one of two",
        ),
        ("no class", r"train\.csv': no image has a tag, and .* at least one class.*classes\.txt"),
        ("no class listed", r"classes\.txt': a data set needs at least one class"),
        ("background as a tag", r"val\.csv', line 3: background is no tag\. Leave it out"),
        ("masks without names", r"masks but no classes\.txt"),
        ("classes not text", r"classes\.txt' is not UTF-8"),
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
