from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ktse.data.classes import VOC_CLASSES
from ktse.data.voc import VOC12
from ktse.errors import DataError
from reference.voc_tree import add_image, add_list, add_mask, make_sbd, make_voc


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a VOC2012 without SBD."""
    return make_voc(tmp_path)


def names_of(dataset: VOC12, index: int) -> list[str]:
    return [VOC_CLASSES.names[k] for k in np.flatnonzero(dataset.tags[index])]


def test_a_split(root: Path) -> None:
    dataset = VOC12(root)
    assert (dataset.name, dataset.split, dataset.ids) == ("VOC 2012", "train", ("2007_000032", "2007_000039"))
    assert dataset.classes == VOC_CLASSES
    assert [names_of(dataset, index) for index in range(2)] == [["dog", "person"], ["tvmonitor"]]
    assert dataset.image(0).shape == (6, 8, 3)
    assert dataset.has_masks
    assert dataset.mask(0).tolist() == [[0, 0, 15, 15, 255, 12, 12, 12]] * 6
    assert dataset.notes == ()
    assert dataset.file(1) == root / "JPEGImages" / "2007_000039.jpg"


@pytest.mark.parametrize(("split", "count"), [("train", 2), ("val", 1), ("trainval", 3), ("test", 1)])
def test_splits(root: Path, split: str, count: int) -> None:
    assert len(VOC12(root, split)) == count


def test_difficult_objects_may_be_left_out(root: Path) -> None:
    assert names_of(VOC12(root, difficult=False), 0) == ["dog"]


def test_tags_of_the_masks(root: Path) -> None:
    add_image(root, "2007_000039", [("cat", False)])
    dataset = VOC12(root, tags_from="masks")
    assert [names_of(dataset, index) for index in range(2)] == [["dog", "person"], ["tvmonitor"]]


def test_trainaug_is_completed_by_sbd_beside_the_devkit(root: Path, tmp_path: Path) -> None:
    make_sbd(tmp_path)
    dataset = VOC12(root, "trainaug")
    assert dataset.ids == ("2007_000032", "2007_000039", "2008_000002")
    assert names_of(dataset, 2) == ["cat"]
    assert dataset.mask(2).tolist() == [[8, 8, 8, 0, 0, 0, 0, 0]] * 6
    assert "trainaug has 3 images; the list of the literature has 10582" in dataset.notes[0]
    assert names_of(VOC12(root, "trainaug", tags_from="masks"), 2) == ["cat"]


def test_sbd_may_lie_anywhere(root: Path, tmp_path: Path) -> None:
    sbd = make_sbd(tmp_path / "far" / "away")
    assert len(VOC12(root, "trainaug", sbd=sbd)) == 3
    with pytest.raises(DataError, match="there is no SBD to make it from"):
        VOC12(root, "trainaug")


def test_masks_of_voc_come_before_those_of_sbd(root: Path, tmp_path: Path) -> None:
    make_sbd(tmp_path)
    add_mask(root, "2007_000032", np.full((6, 8), 3), "SegmentationClassAug")
    add_mask(root, "2008_000002", np.full((6, 8), 4), "SegmentationClassAug")
    dataset = VOC12(root, "trainaug")
    assert 15 in dataset.mask(0)
    assert np.unique(dataset.mask(2)).tolist() == [4]


def test_a_truth_that_is_not_vocs_own_is_told(root: Path, tmp_path: Path) -> None:
    make_sbd(tmp_path)
    assert VOC12(root, "trainval").notes == ()
    (root / "SegmentationClass" / "2007_000033.png").unlink()
    assert VOC12(root, "trainval").notes[0].startswith("1 of 3 masks of trainval are SBD's")


def test_masks_may_be_grey_and_missing(root: Path) -> None:
    Image.fromarray(np.full((6, 8), 7, np.uint8)).save(root / "SegmentationClass" / "2007_000032.png")
    (root / "SegmentationClass" / "2007_000039.png").unlink()
    dataset = VOC12(root)
    assert np.unique(dataset.mask(0)).tolist() == [7]
    assert dataset.mask(1) is None
    with pytest.raises(DataError, match=r"'2007_000039' has no mask to take tags from. Use data.voc_tags=xml"):
        VOC12(root, tags_from="masks")


def test_the_test_split_can_be_looked_at_without_tags_and_masks(root: Path) -> None:
    dataset = VOC12(root, "test")
    sample = dataset.sample(0, with_mask=True)
    assert sample.image.shape == (6, 8, 3)
    assert sample.mask is None
    assert not dataset.tags.any()
    assert not dataset.has_masks
    assert not VOC12(root, "test", tags_from="masks").tags.any()


def test_an_empty_list(root: Path) -> None:
    add_list(root, "none", [])
    with pytest.raises(DataError, match="no images in split 'none'"):
        VOC12(root, "none")


def test_no_folder_of_images(root: Path) -> None:
    (root / "JPEGImages").rename(root / "images")
    with pytest.raises(DataError, match=r"there is no folder .*JPEGImages"):
        VOC12(root)


@pytest.mark.parametrize(("split", "count"), [("train", 100), ("val", 50)])
def test_real_label_maps(tmp_path: Path, shared_data: Path, split: str, count: int) -> None:
    real = shared_data / "voc_label_maps"
    root = tmp_path / "VOC2012"
    (root / "JPEGImages").mkdir(parents=True)
    ids = (real / f"{split}.txt").read_text().split()
    add_list(root, split, ids)
    (root / "SegmentationClassAug").symlink_to(real / "SegmentationClassAug")
    dataset = VOC12(root, split, tags_from="masks")
    assert len(dataset) == count
    assert dataset.ids == tuple(ids)
    for index, id_ in enumerate(ids):
        with Image.open(real / "SegmentationClassAug" / f"{id_}.png") as image:
            expected = np.asarray(image)
        assert (dataset.mask(index) == expected).all()
        assert set(np.flatnonzero(dataset.tags[index]) + 1) == set(expected.flat) - {0, 255}
    assert dataset.tags.any(axis=1).all()
