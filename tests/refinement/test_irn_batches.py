from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.data.image_io import write_label_map
from ktse.data.shapes import Shapes
from ktse.data.transforms import normalize, random_crop
from ktse.errors import DataError, RecipeError
from ktse.refinement.irn_batches import IrnBatch, check_batches, irn_batches, on_the_grid, random_view, steps_per_epoch

SIDE = 32


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Shapes("train", count=10, size=SIDE)


def irn(**changes: Any) -> Recipe:
    settings = {"crop_size": 40, "path_radius": 3, "batch_size": 4, **changes}
    return replace(Recipe(), refinement={"irn": settings}, runtime={"accelerator": "cpu"})


@pytest.fixture
def recipe() -> Recipe:
    return irn()


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    for index, id_ in enumerate(dataset.ids):
        mask = dataset.mask(index)
        assert mask is not None
        write_label_map(run.ir_label(id_), mask)
    return run


def batches(dataset: Dataset, recipe: Recipe, run: RunDirectory, **place: Any) -> Iterator[IrnBatch]:
    return irn_batches(dataset, recipe, run=run, **{"epoch": 0, **place})


def same(a: IrnBatch, b: IrnBatch) -> bool:
    return torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)


def view(image: np.ndarray, labels: np.ndarray, *, ignore_index: int = 255, **changes: Any) -> Any:
    generator = np.random.default_rng(1)
    return random_view(image, labels, irn(**changes), ignore_index=ignore_index, generator=generator)


def test_types_shapes_and_number_of_batches(dataset: Dataset, run: RunDirectory, recipe: Recipe) -> None:
    epoch = list(batches(dataset, recipe, run))
    assert len(epoch) == steps_per_epoch(dataset, recipe.refinement.irn) == 2
    for batch in epoch:
        assert (batch.images.shape, batch.images.dtype) == ((4, 3, 40, 40), torch.float32)
        assert (batch.labels.shape, batch.labels.dtype) == ((4, 10, 10), torch.int64)


def test_whole_images_lie_on_their_labels(dataset: Dataset, run: RunDirectory) -> None:
    plain = irn(crop_size=SIDE, rescale_range=(1.0, 1.0), flip_probability=0.0, batch_size=5)
    wanted = {
        normalize(dataset.image(n), plain.data.mean, plain.data.std).tobytes(): dataset.mask(n)
        for n in range(len(dataset))
    }
    seen = 0
    for batch in batches(dataset, plain, run):
        for image, labels in zip(batch.images, batch.labels, strict=True):
            mask = wanted.pop(np.ascontiguousarray(image.permute(1, 2, 0).numpy()).tobytes())
            assert mask is not None
            reduced = Image.fromarray(mask).resize((SIDE // 4, SIDE // 4), Image.Resampling.NEAREST)
            assert np.array_equal(labels.numpy(), np.asarray(reduced))
            seen += 1
    assert seen == 10
    assert not wanted


def test_mirror_turns_image_and_labels(dataset: Dataset) -> None:
    image, labels = dataset.image(0), dataset.mask(0)
    assert labels is not None
    turned, upright = (
        view(image, labels, crop_size=SIDE, rescale_range=(1, 1), flip_probability=p) for p in (1.0, 0.0)
    )
    assert np.array_equal(turned[0], upright[0][:, ::-1])
    assert np.array_equal(turned[1], upright[1][:, ::-1])
    assert np.array_equal(upright[1], labels)
    assert not np.array_equal(upright[1], labels[:, ::-1])


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_image_and_labels_are_resized_as_pillow_does(dataset: Dataset, factor: float) -> None:
    image, labels, side = dataset.image(1), dataset.mask(1), int(SIDE * factor)
    assert labels is not None
    seen, seen_labels = view(image, labels, crop_size=side, rescale_range=(factor, factor), flip_probability=0.0)
    resized = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    assert np.array_equal(seen, normalize(resized, Recipe().data.mean, Recipe().data.std))
    assert np.array_equal(seen_labels, np.asarray(Image.fromarray(labels).resize((side, side), 0)))


def test_factors_fill_their_range() -> None:
    """An image of ones with a label of 7 shows by its area how large it was made."""
    image, labels = np.full((40, 20, 3), 200, np.uint8), np.full((40, 20), 7, np.uint8)
    generator, sizes = np.random.default_rng(0), []
    for _ in range(200):
        _, seen = random_view(image, labels, irn(crop_size=64), ignore_index=255, generator=generator)
        inside = seen == 7
        sizes.append((inside.any(1).sum(), inside.any(0).sum()))
    heights, widths = np.array(sizes).T
    assert (heights.min(), heights.max()) == (20, 60)
    assert abs(heights.mean() - 40) < 3
    assert np.abs(heights - 2 * widths).max() <= 2


@pytest.mark.parametrize(("ignore_index", "label"), [(255, 7), (65535, 300)])
def test_padding_is_the_mean_colour_and_ignored(ignore_index: int, label: int) -> None:
    image = np.full((10, 60, 3), 255, np.uint8)
    labels = np.full((10, 60), label, np.min_scalar_type(ignore_index))
    seen, seen_labels = view(image, labels, ignore_index=ignore_index, rescale_range=(1.0, 1.0))
    assert np.unique(seen_labels).tolist() == [label, ignore_index]
    assert (seen_labels == label).sum() == 10 * 40
    assert np.array_equal(seen_labels == ignore_index, (seen == 0).all(2))


@pytest.mark.parametrize("ignore_index", [255, 65535])
@pytest.mark.parametrize("size", [(20, 70), (70, 20), (60, 60), (9, 8)], ids=str)
def test_view_is_that_of_the_whole_image_normalised_first(size: tuple[int, int], ignore_index: int) -> None:
    """Image and labels are resized, mirrored, normalised and cropped whole, label by label and draw by draw."""
    noise = np.random.default_rng(0)
    image = noise.integers(0, 256, (*size, 3), dtype=np.uint8)
    labels = noise.integers(0, 200, size).astype(np.min_scalar_type(ignore_index))
    recipe = irn(flip_probability=0.5)
    side = recipe.refinement.irn.crop_size
    for seed in range(20):
        generator, twin = np.random.default_rng(seed), np.random.default_rng(seed)
        seen, seen_labels = random_view(image, labels, recipe, ignore_index=ignore_index, generator=generator)
        factor = twin.uniform(*recipe.refinement.irn.rescale_range)
        resized = (round(size[1] * factor), round(size[0] * factor))
        whole = np.asarray(Image.fromarray(image).resize(resized, Image.Resampling.BICUBIC))
        marked = np.asarray(Image.fromarray(labels).resize(resized, Image.Resampling.NEAREST)).astype(np.float32)
        channels = [normalize(whole, recipe.data.mean, recipe.data.std), marked[..., None] - ignore_index]
        both = np.concatenate(channels, axis=2)
        crop = random_crop(both[:, ::-1] if twin.random() < 0.5 else both, side, twin)
        np.testing.assert_array_equal(seen, crop[..., :3], strict=True)
        np.testing.assert_array_equal(seen_labels, crop[..., 3].astype(np.int64) + ignore_index, strict=True)
        assert generator.bit_generator.state == twin.bit_generator.state


def test_memory_does_not_hold_a_photograph_in_floating_point() -> None:
    image, labels = np.zeros((800, 1000, 3), np.uint8), np.zeros((800, 1000), np.uint8)
    tracemalloc.start()
    try:
        view(image, labels, rescale_range=(1.5, 1.5))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * 1200 * 1500  # bytes; one copy of the enlarged image in float32 has 12 a pixel


@pytest.mark.parametrize("size", [(8, 12), (9, 5), (1, 2)], ids=str)
def test_cells_take_the_pixel_at_their_centre(size: tuple[int, int]) -> None:
    labels = np.arange(size[0] * size[1]).reshape(size)
    reduced = on_the_grid(labels)
    assert reduced.shape == (-(-size[0] // 4), -(-size[1] // 4))
    for (y, x), label in np.ndenumerate(reduced):
        assert label == labels[min(4 * y + 2, size[0] - 1), min(4 * x + 2, size[1] - 1)]


def test_crops_depend_on_their_place_alone(dataset: Dataset, run: RunDirectory, recipe: Recipe) -> None:
    first, second = batches(dataset, recipe, run, epoch=3)
    (resumed,) = batches(dataset, recipe, run, epoch=3, start_step=1)
    assert same(second, resumed)
    assert not same(first, next(batches(dataset, recipe, run, epoch=4)))
    other = replace(recipe, runtime={"random_seed": 1})
    assert not same(first, next(batches(dataset, other, run, epoch=3)))
    left, right = (next(batches(dataset, recipe, run, epoch=3, rank=rank, world_size=2)) for rank in (0, 1))
    assert torch.equal(torch.cat([left.images, right.images]), first.images)
    assert torch.equal(torch.cat([left.labels, right.labels]), first.labels)


def test_workers_give_the_same_batches_while_the_run_is_locked(
    dataset: Dataset, run: RunDirectory, recipe: Recipe
) -> None:
    here = list(batches(dataset, recipe, run))
    with run.lock():
        with_worker = list(batches(dataset, replace(recipe, runtime={"workers": 1}), run))
    assert all(same(a, b) for a, b in zip(here, with_worker, strict=True))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (None, "there is no image"),
        (np.zeros((16, SIDE), np.uint8), r"is \(16, 32\)"),
        (np.full((SIDE, SIDE), 99, np.uint8), r"has labels \[99\]"),
    ],
    ids=["missing", "other size", "unknown label"],
)
def test_wrong_labels_are_named(
    dataset: Dataset, run: RunDirectory, recipe: Recipe, label: np.ndarray | None, message: str
) -> None:
    path = run.ir_label(dataset.ids[3])
    path.unlink()
    if label is not None:
        write_label_map(path, label)
    with pytest.raises(DataError, match=message) as failure:
        list(batches(dataset, replace(recipe, refinement={"irn": {"batch_size": 10}}), run))
    assert str(path) in str(failure.value)


@pytest.mark.parametrize(
    ("settings", "world_size", "error", "message"),
    [
        ({"batch_size": 11}, 1, DataError, "has 10 images, refinement.irn.batch_size asks for 11"),
        ({"batch_size": 5}, 2, RecipeError, "does not divide into 2 processes"),
        ({"batch_size": 6, "micro_batches": 2}, 2, RecipeError, "multiple of 4"),
        (
            {"crop_size": 72, "path_radius": 10},
            1,
            RecipeError,
            "has 18 cells .*, which takes 19.*crop_size to 76 or more",
        ),
    ],
    ids=["too few images", "processes", "micro-batches", "no room for a path"],
)
def test_impossible_batches_are_refused(
    dataset: Dataset, settings: dict[str, int], world_size: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_batches(dataset, irn(**settings).refinement.irn, world_size=world_size)


def test_smallest_crop_with_room_for_a_path_is_taken(dataset: Dataset) -> None:
    check_batches(dataset, irn(crop_size=73, path_radius=10).refinement.irn)
