from __future__ import annotations

import pickle
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from ktse.artifacts import RunDirectory
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.image_io import write_confidence, write_label_map
from ktse.data.shapes import Shapes
from ktse.errors import DataError
from ktse.segmentation.labels import LOOKED_AT, foreground_share, label_reader, trust_reader


class Bare(Dataset):
    """Two images, of which the first has a mask with a label of one's choice."""

    def __init__(self, label: int = 1, *, has_masks: bool = True, names: tuple[str, ...] = ("cat",)) -> None:
        super().__init__(
            name="bare", split="train", classes=Classes(names), ids=["a", "b"],
            tags=np.ones((2, len(names)), np.bool_), has_masks=has_masks,
        )  # fmt: skip
        self.label = label

    def image(self, index: int) -> np.ndarray:
        return np.zeros((4, 5, 3), np.uint8)

    def mask(self, index: int) -> np.ndarray | None:
        return np.full((4, 5), self.label) if index == 0 else None


def test_masks_of_the_run(dataset: Dataset, run: RunDirectory) -> None:
    read = label_reader(dataset, "masks", run=run, trusted_only=False)
    labels = read(3)
    assert labels is not None
    assert np.array_equal(labels, dataset.mask(3))


def test_pixels_that_are_not_trusted_are_ignored(dataset: Dataset, run: RunDirectory) -> None:
    labels = label_reader(dataset, "masks", run=run, trusted_only=True)(3)
    truth = dataset.mask(3)
    assert labels is not None and truth is not None
    assert np.array_equal(labels[:16], truth[:16])
    assert (labels[16:] == 255).all()


@pytest.mark.parametrize("count", [254, 255, 300])
def test_ignored_pixels_have_a_label_of_no_class_however_many_there_are(tmp_path: Path, count: int) -> None:
    dataset, run = Bare(names=tuple(f"class {number}" for number in range(count))), RunDirectory(tmp_path)
    run.stage("masks").begin("refined")
    write_label_map(run.mask("a"), np.array([[0, 254, 254]]))  # 8 bits a pixel, whatever the classes
    write_confidence(run.confidence("a"), np.array([[True, True, False]]))
    labels = label_reader(dataset, "masks", run=run, trusted_only=True)(0)
    assert labels is not None
    assert labels.tolist() == [[0, 254, 255 if count == 254 else 65535]]


def test_truth_comes_from_the_data_set_and_may_be_missing(tmp_path: Path) -> None:
    read = label_reader(Bare(), "truth", run=RunDirectory(tmp_path), trusted_only=True)
    first = read(0)
    assert first is not None
    assert (first == 1).all()
    assert read(1) is None


def test_a_reader_can_be_given_to_another_process_while_the_run_is_locked(dataset: Dataset, run: RunDirectory) -> None:
    with run.lock():
        read = pickle.loads(pickle.dumps(label_reader(dataset, "masks", run=run, trusted_only=False)))
    assert np.array_equal(read(0), dataset.mask(0))


def test_without_masks_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no pseudo masks .* Run refine first"):
        label_reader(Bare(), "masks", run=RunDirectory(tmp_path), trusted_only=False)
    with pytest.raises(DataError, match="bare has no true masks"):
        label_reader(Bare(has_masks=False), "truth", run=RunDirectory(tmp_path), trusted_only=False)


def test_unknown_labels_are_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"true mask of 'a' holds label 2, expected 0 \.\. 1 or 255"):
        label_reader(Bare(2), "truth", run=RunDirectory(tmp_path), trusted_only=False)(0)


def test_a_confidence_of_another_size_is_refused(dataset: Dataset, run: RunDirectory) -> None:
    write_confidence(run.confidence(dataset.ids[0]), np.ones((3, 3), np.bool_))
    with pytest.raises(DataError, match="Delete both and run refine again"):
        label_reader(dataset, "masks", run=run, trusted_only=True)(0)


def test_masks_of_the_run_may_be_as_large_as_images(dataset: Dataset, run: RunDirectory) -> None:
    for allowed in (32 * 32, 32 * 32 - 1):
        labels = label_reader(dataset, "masks", run=run, trusted_only=True, max_pixels=allowed)
        trust = trust_reader(dataset, "masks", run=run, max_pixels=allowed)
        with pytest.raises(DataError, match="at most 1023 are read") if allowed == 1023 else nullcontext():
            assert labels(0) is not None
        with pytest.raises(DataError, match="at most 1023 are read") if allowed == 1023 else nullcontext():
            assert trust(0, np.zeros((32, 32), np.uint8)).any()


def test_trust_is_that_of_the_confidence_masks(dataset: Dataset, run: RunDirectory) -> None:
    with run.lock():
        read = pickle.loads(pickle.dumps(trust_reader(dataset, "masks", run=run)))
    trusted = read(2, np.zeros((32, 32), np.uint8))
    assert trusted.dtype == np.bool_
    assert trusted[:16].all()
    assert not trusted[16:].any()
    with pytest.raises(DataError, match=r"is \(32, 32\), but its mask is \(3, 3\)"):
        read(2, np.zeros((3, 3), np.uint8))


def test_of_the_truth_all_that_is_labelled_is_trusted(dataset: Dataset, tmp_path: Path) -> None:
    read = trust_reader(dataset, "truth", run=RunDirectory(tmp_path))
    assert read(0, np.array([[0, 3, 255]])).tolist() == [[True, True, False]]


def test_share_of_foreground_is_a_mean_over_images() -> None:
    maps = [None, np.zeros((2, 2), np.uint8), np.array([[0, 1, 255, 255]]), np.array([[4]])]
    assert foreground_share(Shapes(count=4), lambda index: maps[index]) == (0 + 0 + 1 / 4 + 1) / 4


def test_share_of_foreground_looks_at_some_images_all_over_a_large_data_set() -> None:
    asked: list[int] = []

    def read(index: int) -> None:
        asked.append(index)

    foreground_share(Shapes(count=1050), read)
    assert LOOKED_AT <= len(asked) < 2 * LOOKED_AT
    assert asked[0] == 0
    assert asked[-1] >= 1000


def test_a_missing_mask_is_named(dataset: Dataset, run: RunDirectory) -> None:
    run.mask(dataset.ids[0]).unlink()
    with pytest.raises(DataError, match=dataset.ids[0]):
        label_reader(dataset, "masks", run=run, trusted_only=False)(0)


def test_a_damaged_mask_is_named(dataset: Dataset, run: RunDirectory) -> None:
    write_label_map(run.mask(dataset.ids[1]), np.full((32, 32), 99))
    with pytest.raises(DataError, match=rf"{dataset.ids[1]}.*holds label 99"):
        label_reader(dataset, "masks", run=run, trusted_only=False)(1)
