from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from ktse.data.classes import COCO_CLASSES, VOC_CLASSES, Classes, voc_palette
from ktse.errors import DataError


def test_labels_are_classes_and_background() -> None:
    classes = Classes(("cat", "dog", "cow"))
    assert (classes.count, classes.num_labels, classes.ignore_index) == (3, 4, 255)
    assert [classes.index(name) for name in ("cat", "dog", "cow")] == [0, 1, 2]


@pytest.mark.parametrize(("count", "ignore"), [(254, 255), (255, 65535)], ids=["255 is free", "255 is a class"])
def test_ignore_index_is_never_a_class(count: int, ignore: int) -> None:
    classes = Classes(tuple(map(str, range(count))))
    assert classes.ignore_index == ignore
    assert classes.ignore_index >= classes.num_labels


def test_unknown_name_gives_near_ones() -> None:
    with pytest.raises(DataError, match=r"unknown tag 'aeroplain'. Did you mean 'aeroplane'"):
        VOC_CLASSES.index("aeroplain")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "at least one class"),
        (("cat", " "), "is empty"),
        (("cat", "dog", "cat"), "'cat' is listed more than once"),
        (("Background", "cat"), "Leave it out"),
    ],
    ids=["none", "empty name", "twice", "background"],
)
def test_wrong_lists_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Classes(names)


def test_voc_order_is_that_of_its_labels() -> None:
    assert VOC_CLASSES.count == 20
    # Labels as VOC documents them: 15 person, 20 tvmonitor.
    assert [VOC_CLASSES.index(name) + 1 for name in ("aeroplane", "cat", "person", "tvmonitor")] == [1, 8, 15, 20]
    assert list(VOC_CLASSES.names) == sorted(VOC_CLASSES.names)


def test_palette_has_vocs_documented_colours() -> None:
    palette = voc_palette()
    documented = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        8: (64, 0, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    assert {label: tuple(palette[label].tolist()) for label in documented} == documented
    assert len({tuple(colour) for colour in palette.tolist()}) == 256


def test_palette_is_that_of_real_label_maps(shared_data: Path) -> None:
    real = next((shared_data / "voc_label_maps" / "SegmentationClassAug").glob("*.png"))
    with Image.open(real) as image:
        assert image.getpalette() == voc_palette().ravel().tolist()


def test_coco_order_is_that_of_category_ids(shared_data: Path) -> None:
    content = json.loads((shared_data / "coco_tiny" / "annotations" / "instances_val2017.json").read_text())
    ordered = sorted(content["categories"], key=lambda category: category["id"])
    assert [category["name"] for category in ordered] == list(COCO_CLASSES.names)
