from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.data.image_io import read_label_map
from ktse.errors import DataError, InputError
from ktse.recipes.components import PLAIN
from ktse.segmentation.label_images import label_images
from ktse.segmentation.segmenter import Segmenter
from ktse.types import SegmenterOutput

RECIPE = replace(Recipe(), segmentation={**PLAIN, "tile_size": 64, "tile_overlap": 8})


class Brightest(nn.Module):
    """The label of a pixel is its brightest colour; notes the shapes that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> SegmenterOutput:
        self.seen.append((images.shape[0], *images.shape[2:]))
        return SegmenterOutput(pre_logits=images, logits=images)


class Photos:
    """Images of given sizes; of a size of None, one that cannot be read."""

    def __init__(self, *sizes: tuple[int, int] | None) -> None:
        self.sizes = sizes
        self.ids = tuple(f"p/{number}" for number in range(len(sizes)))

    def image(self, index: int) -> np.ndarray:
        size = self.sizes[index]
        if size is None:
            raise DataError(f"image '{index}' is broken.", remedy="Copy it anew.")
        return np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)


def work(
    photos: Photos, folder: Path, recipe: Recipe = RECIPE, **options: Any
) -> tuple[list[DataError], list[tuple[int, ...]], list[int]]:
    """Label all images; return the faults, the shapes that the network saw and the reports."""
    network, reports = Brightest(), []
    segmenter = Segmenter(network, Classes(("cat", "dog")), recipe)  # type: ignore[arg-type] # stands for a network
    faults = label_images(
        segmenter, photos, range(len(photos.ids)), label_map=lambda id_: folder / f"{id_}.png", report=reports.append,
        **options,
    )  # fmt: skip
    return faults, network.seen, reports


def test_batches_hold_neighbours_of_one_size_and_no_more_pixels_than_a_tile(tmp_path: Path) -> None:
    sizes = [(20, 30)] * 5 + [(30, 20), (60, 50), (60, 50), (65, 70), (20, 30)]
    photos = Photos(*sizes)
    faults, seen, reports = work(photos, tmp_path, batch=4)
    assert faults == []
    one_tile = [(4, 20, 30), (1, 20, 30), (1, 30, 20), (1, 60, 50), (1, 60, 50)]
    assert seen == [*one_tile, *[(1, height, width) for height in (36, 37) for width in (39, 39)], (1, 20, 30)]
    assert [report for report in reports if report] == [4, 1, 1, 1, 1, 1, 1]
    for index, id_ in enumerate(photos.ids):
        mean, std = np.array(RECIPE.data.mean), np.array(RECIPE.data.std)
        expected = ((photos.image(index) / 255 - mean) / std).argmax(2)
        np.testing.assert_array_equal(read_label_map(tmp_path / f"{id_}.png"), expected)


def test_small_images_that_are_enlarged_count_as_what_is_seen_of_them(tmp_path: Path) -> None:
    square = replace(RECIPE, segmentation={"inference_size": 32})
    _, seen, _ = work(Photos(*[(9, 9)] * 5), tmp_path, square, batch=16)
    assert seen == [(4, 32, 32), (1, 32, 32)]


def test_probabilities_are_those_of_the_label_map(tmp_path: Path) -> None:
    photos = Photos((20, 30), (20, 30), (70, 66))
    work(photos, tmp_path, batch=2, probabilities=lambda id_: tmp_path / f"{id_}.npz")
    for index, id_ in enumerate(photos.ids):
        with np.load(tmp_path / f"{id_}.npz") as file:
            probabilities = file["probabilities"]
        assert probabilities.shape == (3, *photos.image(index).shape[:2])
        np.testing.assert_allclose(probabilities.sum(0, dtype=np.float32), 1, atol=2e-3)
        labels = read_label_map(tmp_path / f"{id_}.png")
        chosen = np.take_along_axis(probabilities, labels[None].astype(np.int64), 0)[0]
        np.testing.assert_array_equal(chosen, probabilities.max(0))


def test_broken_images_are_passed_over(tmp_path: Path) -> None:
    photos = Photos(None, (9, 9), None, (9, 9), None)
    faults, seen, reports = work(photos, tmp_path, batch=4)
    assert [str(fault) for fault in faults] == [f"image '{index}' is broken. Copy it anew." for index in (0, 2, 4)]
    assert seen == [(2, 9, 9)]
    assert sum(reports) == 2
    assert sorted(path.stem for path in tmp_path.rglob("*.png")) == ["1", "3"]


def test_a_report_may_stop_the_work_within_an_image(tmp_path: Path) -> None:
    calls = []

    def stop(ready: int) -> None:
        calls.append(ready)
        raise KeyboardInterrupt

    segmenter = Segmenter(Brightest(), Classes(("cat", "dog")), RECIPE)  # type: ignore[arg-type] # stands for a network
    with pytest.raises(KeyboardInterrupt):
        label_images(
            segmenter, Photos((100, 100)), [0], label_map=lambda id_: tmp_path / f"{id_}.png",
            probabilities=lambda id_: tmp_path / f"{id_}.npz", report=stop,
        )  # fmt: skip
    assert calls == [0], "after the first of several tiles"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_disk_that_is_full_is_no_fault_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("a file where a folder should be")
    with pytest.raises(InputError, match="cannot write"):
        work(Photos((9, 9)), tmp_path)
