from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ktse.data.classes import COCO_CLASSES
from ktse.data.coco import COCO14
from ktse.errors import DataError


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def content() -> dict[str, Any]:
    """Two images; category ids with a gap and out of order; a crowd; an image without annotations."""
    return {
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car"}, {"id": 7, "name": "train"}],
        "images": [
            {"id": 20, "file_name": "COCO_train2014_000000000020.jpg", "height": 6, "width": 8},
            {"id": 10, "file_name": "COCO_train2014_000000000010.jpg", "height": 6, "width": 8},
        ],
        "annotations": [
            {"id": 1, "image_id": 20, "category_id": 90, "iscrowd": 0, "segmentation": box(0, 0, 4, 6)},
            {"id": 2, "image_id": 20, "category_id": 3, "iscrowd": 0, "segmentation": box(2, 0, 6, 6)},
            {
                "id": 3,
                "image_id": 20,
                "category_id": 7,
                "iscrowd": 1,
                "segmentation": {"size": [6, 8], "counts": [0, 48]},
            },
        ],
    }


def write(root: Path, content: Any, split: str = "train2014") -> None:
    (root / "annotations").mkdir(exist_ok=True, parents=True)
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    for number in (10, 20):
        save_image(tmp_path / "train2014" / f"COCO_train2014_{number:012}.jpg")
    write(tmp_path, content())
    return tmp_path


def test_categories_become_classes_in_ascending_order(root: Path) -> None:
    dataset = COCO14(root)
    assert dataset.classes.names == ("car", "train", "toothbrush")
    assert dataset.ids == ("COCO_train2014_000000000020", "COCO_train2014_000000000010")
    assert dataset.tags.tolist() == [[True, True, True], [False, False, False]]  # the crowd's class is there
    assert dataset.image(0).shape == (6, 8, 3)
    assert dataset.file(1) == root / "train2014" / "COCO_train2014_000000000010.jpg"


def test_masks_are_painted_in_the_order_of_the_file_without_crowds(root: Path) -> None:
    dataset = COCO14(root)
    assert dataset.mask(0).tolist() == [[3, 3, 1, 1, 1, 1, 0, 0]] * 6
    assert not dataset.mask(1).any()


def test_names_of_splits(root: Path) -> None:
    assert COCO14(root, "train2014").ids == COCO14(root, "train").ids
    with pytest.raises(DataError, match=r"no split 'val'\."):
        COCO14(root, "val")
    with pytest.raises(DataError, match="Did you mean 'train2014'"):
        COCO14(root, "train2041")


def changed(change: Callable[[dict[str, Any]], Any]) -> Any:
    altered = content()
    return change(altered) or altered


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (changed(lambda c: c.pop("categories") and None), "not laid out as COCO"),
        (changed(lambda c: c["images"][0].pop("height") and None), "not laid out as COCO"),
        (changed(lambda c: c["annotations"][0].update(image_id=99)), "not laid out as COCO"),
        (changed(lambda c: c["annotations"][0].update(category_id=[1])), "not laid out as COCO"),
        (changed(lambda c: c["images"][0].update(file_name="../../secret.jpg")), "leads out"),
        (changed(lambda c: c["images"][0].update(file_name=content()["images"][1]["file_name"])), "share the id"),
        (changed(lambda c: c["images"][0].update(id=10)), "one id"),
        (changed(lambda c: c["categories"][0].update(id=3)), "one id"),
        (changed(lambda c: c["images"][0].update(height=-6)), "-6 x 8 pixels"),
        (changed(lambda c: c["images"][0].update(width=float("inf"))), "not laid out as COCO"),
        (changed(lambda c: c.update(annotations=7)), "not laid out as COCO"),
        ([1, 2], "not laid out as COCO"),
    ],
    ids=[
        *("no categories", "no size", "unknown image", "odd category", "escape", "image twice", "id twice"),
        *("category twice", "negative size", "infinite size", "no annotations", "a list"),
    ],
)
def test_other_layouts_are_refused(root: Path, broken: Any, message: str) -> None:
    write(root, broken)
    with pytest.raises(DataError, match=message):
        COCO14(root)


@pytest.mark.parametrize("text", ["{", "[" * 100_000], ids=["truncated", "deeply nested"])
def test_files_that_are_no_json_are_refused(root: Path, text: str) -> None:
    (root / "annotations" / "instances_train2014.json").write_text(text)
    with pytest.raises(DataError, match=r"instances_train2014\.json' cannot be read"):
        COCO14(root)


def test_missing_folders(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no instances_\*\.json"):
        COCO14(tmp_path / "nowhere")
    (root / "train2014").rename(root / "images")
    with pytest.raises(DataError, match=r"there is no folder .*train2014"):
        COCO14(root)


def test_masks_that_cannot_be_painted_are_named(root: Path) -> None:
    write(root, changed(lambda c: c["annotations"][0].update(segmentation=[[0, 0, 1e9, 0, 1e9, 1e9]])))
    with pytest.raises(DataError, match=r"instances_train2014\.json', image 'COCO_train2014_000000000020': an outline"):
        COCO14(root).mask(0)
    write(root, changed(lambda c: c["images"][0].update(height=10**9)))
    with pytest.raises(DataError, match="at most"):
        COCO14(root).mask(0)


@pytest.mark.parametrize("without", [True, False])
def test_images_without_objects(root: Path, without: bool) -> None:
    dataset = COCO14(root, images_without_objects=without)
    assert len(dataset) == 1 + without
    assert dataset.ids[0] == "COCO_train2014_000000000020"
    assert dataset.tags.sum() == 3
    assert dataset.mask(0).any()
    assert (dataset.image(0) == COCO14(root).image(0)).all()


def test_rows_stay_together_when_images_are_left_out(root: Path) -> None:
    write(root, changed(lambda c: [entry.update(image_id=10) for entry in c["annotations"]] and None))
    dataset = COCO14(root, images_without_objects=False)
    assert dataset.ids == ("COCO_train2014_000000000010",)
    assert dataset.mask(0).tolist() == [[3, 3, 1, 1, 1, 1, 0, 0]] * 6


def test_images_may_lie_in_a_folder_of_their_own(root: Path) -> None:
    (root / "images").mkdir()
    (root / "train2014").rename(root / "images" / "train2014")
    assert COCO14(root).image(0).shape == (6, 8, 3)


def test_names_of_2017(root: Path, save_image: Callable[..., Path]) -> None:
    save_image(root / "train2017" / "000000000020.jpg")
    images = [{"id": 20, "file_name": "000000000020.jpg", "height": 6, "width": 8}]
    write(root, {**content(), "images": images}, "train2017")
    assert COCO14(root, "train2017").ids == ("000000000020",)
    assert len(COCO14(root, "train")) == 2  # of 2014
    (root / "annotations" / "instances_train2014.json").unlink()
    assert COCO14(root, "train").ids == ("000000000020",)


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_masks_are_painted_once_and_kept(root: Path, tmp_path: Path) -> None:
    before = files_below(root)
    painted = COCO14(root).mask(0)
    assert files_below(root) == before
    cache = tmp_path / "cache"
    first, again = (COCO14(root, mask_cache=cache) for _ in range(2))
    assert (first.mask(0) == painted).all()
    assert [path.name for path in files_below(cache)] == ["COCO_train2014_000000000020.png"]
    assert (again.mask(0) == painted).all()
    assert "_objects" not in vars(again)  # the outlines were not read


def test_masks_of_other_annotations_are_not_taken(root: Path, tmp_path: Path) -> None:
    COCO14(root, mask_cache=tmp_path / "cache").mask(0)
    write(root, changed(lambda c: c["annotations"].pop(0) and None))
    assert COCO14(root, mask_cache=tmp_path / "cache").mask(0).tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 6


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools lags behind numpy
@pytest.mark.parametrize("split", ["train", "val"])
def test_real_masks_are_those_of_pycocotools(shared_data: Path, tmp_path: Path, split: str) -> None:
    from pycocotools.coco import COCO

    dataset = COCO14(shared_data / "coco_tiny", split, mask_cache=tmp_path)
    assert dataset.classes == COCO_CLASSES
    assert len(dataset) == 50
    file = shared_data / "coco_tiny" / "annotations" / f"instances_{split}2017.json"
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(file))
    labels = {number: label for label, number in enumerate(sorted(coco.cats), start=1)}
    for index, id_ in enumerate(dataset.ids):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[int(id_)]))
        assert {labels[entry["category_id"]] - 1 for entry in annotations} == set(np.flatnonzero(dataset.tags[index]))
        expected = np.zeros((coco.imgs[int(id_)]["height"], coco.imgs[int(id_)]["width"]), dtype=int)
        for entry in annotations:
            if not entry["iscrowd"]:
                expected = np.where(coco.annToMask(entry), labels[entry["category_id"]], expected)
        assert (dataset.mask(index) == expected).all()  # painted
        assert (dataset.mask(index) == expected).all()  # from the cache
    assert len(files_below(tmp_path)) == 50
    assert dataset.image(0).shape[:2] == dataset.mask(0).shape
