from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ktse.data.classes import VOC_CLASSES
from ktse.data.image_io import write_label_map
from ktse.data.voc import VOC12
from ktse.errors import DataError

ANNOTATION = """<annotation>
  <filename>{id}.jpg</filename>
  <object><name>person</name><difficult>1</difficult><part><name>head</name></part></object>
  <object><name>dog</name></object>
  <object><name>dog</name></object>
</annotation>"""


@pytest.fixture
def root(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    """Return a VOC2012 of two images, the second of which has a mask of SBD only."""
    folder = tmp_path / "VOC2012"
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (folder / "Annotations").mkdir()
    for id_ in ("2007_000032", "2008_000001"):
        save_image(folder / "JPEGImages" / f"{id_}.jpg")
        (folder / "Annotations" / f"{id_}.xml").write_text(ANNOTATION.format(id=id_))
    write_label_map(folder / "SegmentationClass" / "2007_000032.png", np.full((6, 8), 15))
    (lists / "train.txt").write_text("2007_000032\n")
    (lists / "val.txt").write_text("2008_000001\n\n")
    (lists / "test.txt").write_text("2009_000009\n")
    return folder


def test_tags_are_the_objects_difficult_ones_included_parts_not(root: Path) -> None:
    dataset = VOC12(root)
    assert (dataset.name, dataset.split, dataset.ids) == ("VOC 2012", "train", ("2007_000032",))
    assert dataset.classes == VOC_CLASSES
    assert [VOC_CLASSES.names[k] for k in np.flatnonzero(dataset.tags[0])] == ["dog", "person"]
    assert dataset.image(0).shape == (6, 8, 3)


def test_masks_of_sbd_come_first(root: Path) -> None:
    dataset = VOC12(root)
    assert dataset.has_masks
    assert np.unique(dataset.mask(0)).tolist() == [15]
    write_label_map(root / "SegmentationClassAug" / "2007_000032.png", np.full((6, 8), 12))
    assert np.unique(dataset.mask(0)).tolist() == [12]
    val = VOC12(root, "val")
    assert not val.has_masks
    assert val.mask(0) is None


def test_lists_of_sbd_give_paths(root: Path) -> None:
    line = "/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png\n"
    (root / "ImageSets" / "Segmentation" / "trainaug.txt").write_text(line)
    assert VOC12(root, "trainaug").ids == ("2007_000032",)


def test_the_test_split_has_no_tags(root: Path) -> None:
    dataset = VOC12(root, "test")
    assert not dataset.tags.any()
    assert not dataset.has_masks


@pytest.mark.parametrize(
    ("split", "message"),
    [("trainaug", r"trainaug\.txt' is missing: VOC comes without it"), ("vall", "no split 'vall'. Did you mean 'val'")],
)
def test_missing_lists(root: Path, split: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        VOC12(root, split)


def test_folder_that_is_no_voc(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no lists in"):
        VOC12(tmp_path / "elsewhere")
    (root / "JPEGImages").rename(root / "images")
    with pytest.raises(DataError, match=r"there is no folder .*JPEGImages"):
        VOC12(root)


BOMB = '<!DOCTYPE a [<!ENTITY x "dog"><!ENTITY y "&x;&x;">]><annotation><object><name>&x;</name></object></annotation>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no annotation"),
        (b"<annotation><object>", "cannot be read"),
        (b"", "cannot be read"),
        (b"<annotation><object><name>dgo</name></object></annotation>", "unknown tag 'dgo'. Did you mean 'dog'"),
        (BOMB.encode(), "document type 'a'"),
        (('<?xml version="1.0" encoding="utf-16"?>' + BOMB).encode("utf-16"), "document type 'a'"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "document type 'a'"),
    ],
    ids=["missing", "truncated", "empty", "unknown class", "entities", "entities in utf-16", "foreign file"],
)
def test_annotations_that_are_none(root: Path, content: bytes | None, message: str) -> None:
    path = root / "Annotations" / "2007_000032.xml"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        VOC12(root)
    assert "2007_000032.xml" in str(caught.value)


def test_real_label_maps(root: Path, shared_data: Path) -> None:
    real = shared_data / "voc_label_maps"
    ids = (real / "val.txt").read_text().split()[:5]
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("\n".join(ids))
    (root / "SegmentationClassAug").symlink_to(real / "SegmentationClassAug")
    for id_ in ids:
        (root / "Annotations" / f"{id_}.xml").write_text(ANNOTATION)
    dataset = VOC12(root, "val")
    labels = np.unique(np.concatenate([np.unique(dataset.mask(index)) for index in range(5)]))
    assert {0, 255} <= set(labels.tolist()) <= {*range(21), 255}
