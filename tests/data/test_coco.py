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
        ([1, 2], "not laid out as COCO"),
    ],
    ids=["no categories", "no size", "unknown image", "odd category", "escape", "image twice", "a list"],
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools lags behind numpy
@pytest.mark.parametrize("split", ["train", "val"])
def test_real_masks_are_those_of_pycocotools(shared_data: Path, split: str) -> None:
    from pycocotools.coco import COCO

    dataset = COCO14(shared_data / "coco_tiny", split)
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
        assert (dataset.mask(index) == expected).all()
    assert dataset.image(0).shape[:2] == dataset.mask(0).shape
