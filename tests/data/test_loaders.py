from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ktse.config import DataSettings, LocalizationSettings, LossWeights, Recipe, RuntimeSettings
from ktse.data.loaders import batch_size, check_trainable, localizer_batches, steps_per_epoch
from ktse.errors import DataError, RecipeError
from ktse.types import PairBatch

TAGS = [[index % 2 == 0, index % 3 == 0, index % 7 == 0] for index in range(22)]
PLAIN = DataSettings(kind="folder", mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255))


def recipe(*, workers: int = 0, random_seed: int = 3, **localization: Any) -> Recipe:
    defaults: dict[str, Any] = {
        "resize_range": (18, 30),
        "crop_size": 16,
        "warm_up_epochs": 1,
        "epochs": 3,
        "warm_up_batch_size": 4,
        "batch_size": 6,
        "pairs": 2,
    }
    return Recipe(
        data=PLAIN,
        localization=LocalizationSettings(**{**defaults, **localization}),
        runtime=RuntimeSettings(workers=workers, random_seed=random_seed),
    )


def indices(images: torch.Tensor) -> list[int]:
    """Return which images these are: image i has the value i everywhere."""
    return images[:, 0, 8, 8].round().int().tolist()


def same(one: PairBatch, other: PairBatch) -> bool:
    fields = ("images", "tags", "paired_images", "paired_tags", "paste_region")
    pairs = [(getattr(one, field), getattr(other, field)) for field in fields]
    return all(a is b if a is None or b is None else torch.equal(a, b) for a, b in pairs)


def random_images() -> dict[int, np.ndarray]:
    generator = np.random.default_rng(0)
    return {index: generator.integers(0, 256, (20, 24, 3)).astype(np.uint8) for index in range(22)}


def test_an_epoch_shows_each_image_once_and_drops_the_rest(array_dataset) -> None:
    dataset = array_dataset(TAGS)
    for epoch, size, steps in ((0, 4, 5), (1, 6, 3)):
        batches = list(localizer_batches(dataset, recipe(), epoch=epoch))
        assert len(batches) == steps == steps_per_epoch(dataset, recipe(), epoch=epoch)
        shown = [index for batch in batches for index in indices(batch.images)]
        assert len(set(shown)) == len(shown) == size * steps
        assert all(batch.tags.tolist() == dataset.tags[indices(batch.images)].tolist() for batch in batches)


def test_batches_are_tensors_of_the_named_shapes(array_dataset) -> None:
    batch = next(localizer_batches(array_dataset(TAGS), recipe(), epoch=1))
    tensors = (batch.images, batch.tags, batch.paired_images, batch.paired_tags)
    assert [tuple(tensor.shape) for tensor in tensors] == [(6, 3, 16, 16), (6, 3), (2, 3, 16, 16), (2, 3)]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    assert batch.paste_region is None


def test_order_depends_on_epoch_and_seed_only(array_dataset) -> None:
    dataset = array_dataset(TAGS)
    orders = [
        [
            index
            for batch in localizer_batches(dataset, recipe(random_seed=seed), epoch=epoch)
            for index in indices(batch.images)
        ]
        for seed, epoch in ((3, 1), (3, 2), (4, 1), (3, 1))
    ]
    assert orders[0] == orders[3]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != sorted(orders[0])


def test_epochs_and_positions_augment_anew(array_dataset) -> None:
    whole = array_dataset([[1, 0]] * 4, images=dict.fromkeys(range(4), random_images()[0]))
    settings = recipe(warm_up_epochs=0, batch_size=4)
    images = torch.cat([next(localizer_batches(whole, settings, epoch=epoch)).images for epoch in (0, 1)])
    assert len({image.numpy().tobytes() for image in images}) == 8


@pytest.mark.parametrize("epoch", [0, 2], ids=["warm-up", "after"])
def test_a_resumed_epoch_shows_what_it_would_have_shown(array_dataset, epoch: int) -> None:
    dataset = array_dataset(TAGS, images=random_images())
    whole = list(localizer_batches(dataset, recipe(join="cutmix"), epoch=epoch))
    rest = list(localizer_batches(dataset, recipe(join="cutmix"), epoch=epoch, start_step=2))
    assert len(rest) == len(whole) - 2
    assert all(map(same, whole[2:], rest))


def test_workers_read_the_same_and_leave_the_random_state_alone(array_dataset) -> None:
    dataset = array_dataset(TAGS, images=random_images())
    state = torch.get_rng_state()
    here = list(localizer_batches(dataset, recipe(join="cutmix"), epoch=1))
    there = list(localizer_batches(dataset, recipe(join="cutmix", workers=1), epoch=1, start_step=0))
    assert len(here) == len(there) == 3
    assert all(map(same, here, there))
    assert torch.equal(state, torch.get_rng_state())


def test_two_processes_share_each_batch(array_dataset) -> None:
    dataset = array_dataset(TAGS, images=random_images())
    alone = list(localizer_batches(dataset, recipe(pairs=3), epoch=1))
    shares = [list(localizer_batches(dataset, recipe(pairs=3), epoch=1, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [len(share) for share in shares] == [3, 3]
    for whole, first, second in zip(alone, *shares, strict=True):
        assert torch.equal(whole.images, torch.cat([first.images, second.images]))
        assert torch.equal(whole.tags, torch.cat([first.tags, second.tags]))
        assert torch.equal(whole.paired_images, first.paired_images)
        assert second.paired_images.shape == first.paired_images.shape
        assert not torch.equal(second.paired_images, first.paired_images)


def test_pairs_belong_to_the_first_anchors(array_dataset) -> None:
    dataset = array_dataset(TAGS)
    for batch in localizer_batches(dataset, recipe(), epoch=2):
        assert batch.paired_tags.tolist() == dataset.tags[indices(batch.paired_images)].tolist()
        for anchor, pair in zip(batch.tags, batch.paired_tags, strict=False):
            assert not anchor.any() or (anchor * pair).any()


@pytest.mark.parametrize(
    ("weights", "epoch", "pairs"),
    [
        ({}, 0, 0),
        ({}, 1, 2),
        ({"knowledge_transfer": 0, "joint_background": 0, "joint_foreground": 0}, 1, 0),
        ({"knowledge_transfer": 0, "joint_background": 0}, 1, 2),
        ({"joint_background": 0, "joint_foreground": 0}, 1, 2),
    ],
    ids=["warm-up", "all", "no loss of pairs", "joint foreground alone", "knowledge transfer alone"],
)
def test_pairs_are_read_only_where_a_loss_needs_them(
    array_dataset, weights: dict[str, float], epoch: int, pairs: int
) -> None:
    settings = recipe(weights=LossWeights(**weights), join="cutmix")
    batch = next(localizer_batches(array_dataset(TAGS), settings, epoch=epoch))
    assert batch.paired_images.shape == (pairs, 3, 16, 16)
    assert batch.paired_tags.shape == (pairs, 3)
    assert batch.paste_region is not None
    assert batch.paste_region.shape == (pairs, 1, 16, 16)
    assert batch.paste_region.dtype == torch.bool


def test_more_pairs_than_anchors_are_as_many_as_anchors(array_dataset) -> None:
    batch = next(localizer_batches(array_dataset(TAGS), recipe(pairs=50), epoch=1))
    assert len(batch.paired_images) == len(batch.images) == 6


@pytest.mark.parametrize("workers", [0, 1], ids=["here", "in a worker"])
def test_a_broken_image_is_named_in_one_line(array_dataset, workers: int) -> None:
    fault = DataError("image 'photos/7.jpg' cannot be read: broken.", remedy="Copy it anew.")
    dataset = array_dataset(TAGS, images=dict.fromkeys(range(22), fault))
    with pytest.raises(DataError) as caught:
        list(localizer_batches(dataset, recipe(workers=workers), epoch=0))
    assert str(caught.value) == "image 'photos/7.jpg' cannot be read: broken. Copy it anew."
    assert caught.value.remedy == "Copy it anew."


def test_batch_size_changes_after_the_warm_up() -> None:
    settings = recipe(warm_up_epochs=2).localization
    assert [batch_size(settings, epoch=epoch) for epoch in range(4)] == [4, 4, 6, 6]


@pytest.mark.parametrize(
    ("changes", "world_size", "error", "message"),
    [
        ({"batch_size": 23}, 1, DataError, r"22 images, localization.batch_size asks for 23.*batch_size=22"),
        ({"warm_up_batch_size": 50}, 1, DataError, r"warm_up_batch_size asks for 50"),
        ({"batch_size": 5}, 2, RecipeError, r"batch_size is 5, which does not divide into 2 processes"),
        ({"warm_up_batch_size": 3}, 2, RecipeError, r"warm_up_batch_size is 3"),
        ({"micro_batches": 4}, 1, RecipeError, r"localization.batch_size is 6, .* 4 micro-batches.*multiple of 4"),
        ({"micro_batches": 6}, 1, RecipeError, r"warm_up_batch_size is 4, .* 6 micro-batches"),
        ({"micro_batches": 2}, 2, RecipeError, r"localization.batch_size is 6, .* 2 processes with 2 micro-batches"),
    ],
    ids=["few images", "few images in warm-up", "odd batch", "odd batch in warm-up", "micro-batches",
         "micro-batches in warm-up", "micro-batches of processes"],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_at_once(
    array_dataset, changes: dict[str, int], world_size: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        localizer_batches(array_dataset(TAGS), recipe(**changes), epoch=0, world_size=world_size)


@pytest.mark.parametrize(
    "changes",
    [{"warm_up_epochs": 0, "warm_up_batch_size": 50}, {"warm_up_epochs": 3, "batch_size": 50}],
    ids=["no warm-up", "nothing but warm-up"],
)
def test_batches_that_never_come_are_not_asked_for(array_dataset, changes: dict[str, int]) -> None:
    check_trainable(array_dataset(TAGS), recipe(**changes))


def test_tags_are_needed_to_train(array_dataset) -> None:
    with pytest.raises(DataError, match="no image of arrays, split 'train', has a tag"):
        check_trainable(array_dataset([[0, 0]] * 22), recipe())
