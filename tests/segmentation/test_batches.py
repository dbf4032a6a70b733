from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.errors import DataError, RecipeError
from ktse.segmentation.batches import (
    CoTrainingBatch,
    SegmentationBatch,
    check_batches,
    co_training_batches,
    segmentation_batches,
    steps_per_epoch,
)


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


def co_training(recipe: Recipe, **settings: Any) -> Recipe:
    return replace(recipe, segmentation={"method": "co_training", **settings})


def trust(index: int, labels: np.ndarray) -> np.ndarray:
    return labels != 0


def pairs(dataset: Dataset, recipe: Recipe, **place: Any) -> Iterator[CoTrainingBatch]:
    return co_training_batches(dataset, co_training(recipe), dataset.mask, trust, **{"epoch": 0, **place})


def fields(batch: CoTrainingBatch) -> dict[str, torch.Tensor]:
    return {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}


def test_types_and_shapes_of_pairs(dataset: Dataset, recipe: Recipe) -> None:
    epoch = list(pairs(dataset, recipe))
    assert len(epoch) == 2
    num_labels = dataset.classes.num_labels
    for batch in epoch:
        assert {name: (tuple(value.shape), value.dtype) for name, value in fields(batch).items()} == {
            "images": ((2, 2, 3, 32, 32), torch.uint8),
            "labels": ((2, 2, 32, 32), torch.int64),
            "trusted": ((2, 2, 32, 32), torch.bool),
            "is_mixed": ((2, 2), torch.bool),
            "order": ((2, 2, num_labels), torch.int64),
            "changes": ((2, 2, 7), torch.float32),
        }
        assert torch.equal(batch.order.sort(-1).values, torch.arange(num_labels).expand(2, 2, -1))


def test_pairs_are_the_crops_of_the_plain_batches_first_half_with_second(dataset: Dataset, recipe: Recipe) -> None:
    mean, std = (torch.tensor(values)[:, None, None] for values in (recipe.data.mean, recipe.data.std))
    for plain, paired in zip(batches(dataset, recipe, epoch=2), pairs(dataset, recipe, epoch=2), strict=True):
        for q in range(2):
            for i in range(2):
                shown = (paired.images[q, i] / 255 - mean) / std
                assert torch.allclose(shown, plain.images[q + 2 * i], atol=1e-6)
                assert torch.equal(paired.labels[q, i], plain.labels[q + 2 * i])


def test_trust_is_cropped_and_turned_with_its_labels(dataset: Dataset, recipe: Recipe) -> None:
    for batch in pairs(dataset, recipe):
        assert torch.equal(batch.trusted, batch.labels != 0)
        assert batch.trusted.any()


@pytest.mark.parametrize("world_size", [1, 2])
def test_pairs_and_their_draws_depend_on_their_place_alone(dataset: Dataset, recipe: Recipe, world_size: int) -> None:
    eight = replace(recipe, segmentation={"batch_size": 8})
    (whole,) = pairs(dataset, eight, epoch=3)
    parts = [next(pairs(dataset, eight, epoch=3, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for name, value in fields(whole).items():
        assert torch.equal(torch.cat([fields(part)[name] for part in parts]), value), name


def test_pairs_of_a_resumed_epoch_are_the_same_and_those_of_others_are_not(dataset: Dataset, recipe: Recipe) -> None:
    first, second = pairs(dataset, recipe, epoch=3)
    (resumed,) = pairs(dataset, recipe, epoch=3, start_step=1)
    assert all(torch.equal(fields(second)[name], value) for name, value in fields(resumed).items())
    others = [
        first,
        list(pairs(dataset, recipe, epoch=4))[1],
        list(pairs(dataset, replace(recipe, runtime={"random_seed": 1}), epoch=3))[1],
    ]
    for other in others:
        for name in ("images", "order", "changes"):
            assert not torch.equal(fields(other)[name], fields(second)[name]), name


def test_workers_give_the_same_pairs(dataset: Dataset, recipe: Recipe) -> None:
    here = list(pairs(dataset, recipe))
    with_worker = list(pairs(dataset, replace(recipe, runtime={"workers": 1})))
    for a, b in zip(here, with_worker, strict=True):
        assert all(torch.equal(fields(b)[name], value) for name, value in fields(a).items())


def test_chances_are_those_of_the_settings(dataset: Dataset, recipe: Recipe) -> None:
    never = {"mix_probability": 0, "colour_probability": 0, "grey_probability": 0, "blur_probability": 0}
    for batch in pairs(dataset, replace(recipe, segmentation={"co_training": never})):
        assert not batch.is_mixed.any()
        assert not batch.changes.any()
    for batch in pairs(dataset, replace(recipe, segmentation={"co_training": {"mix_probability": 1}})):
        assert batch.is_mixed.all()


@pytest.mark.parametrize(
    ("settings", "world_size", "error", "message"),
    [
        ({"batch_size": 11}, 1, DataError, "has 10 images, segmentation.batch_size asks for 11"),
        ({"batch_size": 5}, 2, RecipeError, "does not divide into 2 processes"),
        ({"batch_size": 6, "micro_batches": 2}, 2, RecipeError, "multiple of 4"),
        ({"batch_size": 6, "method": "co_training"}, 2, RecipeError, "in groups of 2. Set it to a multiple of 4"),
    ],
    ids=["too few images", "processes", "micro-batches", "pairs"],
)
def test_impossible_batches_are_refused(
    dataset: Dataset, recipe: Recipe, settings: dict[str, Any], world_size: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_batches(dataset, replace(recipe, segmentation=settings).segmentation, world_size=world_size)
