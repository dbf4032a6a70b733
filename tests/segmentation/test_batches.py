from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.errors import DataError, RecipeError
from ktse.segmentation.batches import SegmentationBatch, check_batches, segmentation_batches, steps_per_epoch


def batches(dataset: Dataset, recipe: Recipe, **place: Any) -> Iterator[SegmentationBatch]:
    return segmentation_batches(dataset, recipe, dataset.mask, **{"epoch": 0, **place})


def same(a: SegmentationBatch, b: SegmentationBatch) -> bool:
    return torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)


def test_types_shapes_and_number_of_batches(dataset: Dataset, recipe: Recipe) -> None:
    epoch = list(batches(dataset, recipe))
    assert len(epoch) == steps_per_epoch(dataset, recipe.segmentation) == 2
    for batch in epoch:
        assert batch.images.shape == (4, 3, 32, 32)
        assert batch.images.dtype == torch.float32
        assert batch.labels.shape == (4, 32, 32)
        assert batch.labels.dtype == torch.int64


def test_whole_unflipped_images_are_normalised_and_lie_on_their_labels(dataset: Dataset, recipe: Recipe) -> None:
    plain = replace(recipe, segmentation={"crop_area": (1.0, 1.0), "flip_probability": 0.0, "batch_size": 1})
    mean, std = np.array(recipe.data.mean), np.array(recipe.data.std)
    expected = {
        np.float32((dataset.image(n) / 255 - mean) / std).tobytes(): dataset.mask(n) for n in range(len(dataset))
    }
    whole = 0
    for batch in batches(dataset, plain):
        shown = batch.images[0].permute(1, 2, 0).numpy()
        near = [
            mask
            for image, mask in expected.items()
            if np.allclose(np.frombuffer(image, np.float32).reshape(32, 32, 3), shown, atol=1e-5)
        ]
        whole += len(near)
        if near:
            assert np.array_equal(near[0], batch.labels[0].numpy())
    assert whole >= 8  # a box of another aspect than 1 never fits, so nearly all crops are the whole image


def test_every_image_is_seen_at_most_once_an_epoch(dataset: Dataset, recipe: Recipe) -> None:
    asked: list[int] = []

    def read(index: int) -> np.ndarray:
        asked.append(index)
        return np.zeros((32, 32), np.uint8)

    for epoch in (0, 1):
        list(segmentation_batches(dataset, recipe, read, epoch=epoch))
    assert len(set(asked[:8])) == len(set(asked[8:])) == 8
    assert asked[:8] != asked[8:]


def test_crops_depend_on_their_place_alone(dataset: Dataset, recipe: Recipe) -> None:
    first, second = batches(dataset, recipe, epoch=3)
    (resumed,) = batches(dataset, recipe, epoch=3, start_step=1)
    assert same(second, resumed)
    assert not same(first, next(batches(dataset, recipe, epoch=4)))
    other = replace(recipe, runtime={"random_seed": 1})
    assert not same(first, next(batches(dataset, other, epoch=3)))
    left, right = (next(batches(dataset, recipe, epoch=3, rank=rank, world_size=2)) for rank in (0, 1))
    assert torch.equal(torch.cat([left.images, right.images]), first.images)
    assert torch.equal(torch.cat([left.labels, right.labels]), first.labels)


def test_workers_give_the_same_batches(dataset: Dataset, recipe: Recipe) -> None:
    here = list(batches(dataset, recipe))
    with_worker = list(batches(dataset, replace(recipe, runtime={"workers": 1})))
    assert all(same(a, b) for a, b in zip(here, with_worker, strict=True))


def test_flips_turn_image_and_labels(dataset: Dataset, recipe: Recipe) -> None:
    always, never = (replace(recipe, segmentation={"flip_probability": chance}) for chance in (1.0, 0.0))
    for turned, upright in zip(batches(dataset, always), batches(dataset, never), strict=True):
        assert torch.equal(turned.images, upright.images.flip(-1))
        assert torch.equal(turned.labels, upright.labels.flip(-1))


def test_an_image_without_labels_is_ignored(dataset: Dataset, recipe: Recipe) -> None:
    batch = next(segmentation_batches(dataset, recipe, lambda index: None, epoch=0))
    assert (batch.labels == 255).all()


def test_labels_of_another_size_are_refused(dataset: Dataset, recipe: Recipe) -> None:
    def small(index: int) -> np.ndarray:
        return np.zeros((16, 16), np.uint8)

    with pytest.raises(DataError, match=r"is \(32, 32\), but its labels are \(16, 16\)"):
        next(segmentation_batches(dataset, recipe, small, epoch=0))


@pytest.mark.parametrize(
    ("settings", "world_size", "error", "message"),
    [
        ({"batch_size": 11}, 1, DataError, "has 10 images, segmentation.batch_size asks for 11"),
        ({"batch_size": 5}, 2, RecipeError, "does not divide into 2 processes"),
        ({"batch_size": 6, "micro_batches": 2}, 2, RecipeError, "multiple of 4"),
    ],
    ids=["too few images", "processes", "micro-batches"],
)
def test_impossible_batches_are_refused(
    dataset: Dataset, recipe: Recipe, settings: dict[str, int], world_size: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_batches(dataset, replace(recipe, segmentation=settings).segmentation, world_size=world_size)
