from __future__ import annotations

import numpy as np
import pytest

from ktse.data.shapes import SPLITS, Shapes, choose_classes
from ktse.data.shapes_things import KINDS
from ktse.data.shapes_world import World
from ktse.errors import DataError


@pytest.fixture(scope="module")
def few() -> Shapes:
    return Shapes(count=12)


def test_image_and_mask_form(few: Shapes) -> None:
    sample = few.sample(3, with_mask=True)
    assert sample.id == "train/0003"
    assert sample.image.shape == (96, 96, 3)
    assert sample.image.dtype == np.uint8
    assert sample.mask is not None
    assert sample.mask.shape == (96, 96)
    assert sample.mask.dtype == np.uint8


def test_tags_say_what_the_masks_show(few: Shapes) -> None:
    for index in range(len(few)):
        labels = set(np.unique(few.mask(index)).tolist()) - {0}
        assert labels == {k + 1 for k in np.flatnonzero(few.tags[index])}


@pytest.mark.parametrize("split", ["train", "val"])
def test_default_counts(split: str) -> None:
    data = Shapes(split)
    assert len(data) == SPLITS[split]
    assert len(set(data.ids)) == SPLITS[split]


def test_same_image_whenever_it_is_drawn(few: Shapes) -> None:
    forwards = [few.image(index) for index in (0, 5)]
    again = Shapes(count=6)  # fewer images, drawn in another order
    backwards = [again.image(index) for index in (5, 0)][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.tags, few.tags[:6])


@pytest.mark.parametrize(
    "other",
    [
        Shapes("val", count=4),
        Shapes(world_seed=1, count=4),
        Shapes(count=4, size=48),
        Shapes(count=4, world=World(noise=0.1)),
        Shapes(count=4, show="striking"),
    ],
    ids=["split", "world seed", "size", "world", "show"],
)
def test_other_images_elsewhere(few: Shapes, other: Shapes) -> None:
    assert not np.array_equal(few.image(0), other.image(0))
    assert few.subset(range(4)).fingerprint() != other.fingerprint()


def test_changing_what_was_given_changes_nothing(few: Shapes) -> None:
    before = few.image(1)
    few.image(1)[:] = 0
    few.mask(1)[:] = 9
    np.testing.assert_array_equal(few.image(1), before)
    assert few.mask(1).max() < 9


def test_an_image_is_drawn_once(few: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    few.image(2)
    monkeypatch.setattr("ktse.data.shapes.draw", lambda *_, **__: pytest.fail("drawn again"))
    few.mask(2)


def test_statistics_of_the_plan() -> None:
    data = Shapes(count=4000)
    several = data.tags.sum(axis=1) > 1
    assert abs(several.mean() - World().two_classes) < 0.03  # 4 deviations
    assert data.tags.sum(axis=1).max() == 2
    assert np.all(np.abs(data.tags.mean(axis=0) - data.tags.mean()) < 0.04)


def test_share_of_foreground() -> None:
    data = Shapes("val", count=60)
    share = np.mean([(data.mask(index) > 0).mean() for index in range(60)])
    assert 0.15 < share < 0.23


@pytest.mark.parametrize(
    ("world", "things"),
    [
        (World(two_classes=0.0, same_again=0.0), {(1, 1)}),
        (World(two_classes=0.0, same_again=1.0), {(2, 1)}),
        (World(two_classes=1.0, third_thing=0.0), {(2, 2)}),
        (World(two_classes=1.0, third_thing=1.0), {(3, 2)}),
    ],
    ids=["single", "twice the same", "two classes", "three things"],
)
def test_number_of_things_and_classes(world: World, things: set[tuple[int, int]]) -> None:
    plans = [choose_classes(np.random.default_rng(seed), world) for seed in range(50)]
    assert {(len(plan), len(set(plan))) for plan in plans} == things


def test_second_class_of_the_same_home() -> None:
    world = World(two_classes=1.0, third_thing=0.0, related_second=1.0)
    birds = KINDS.index(next(kind for kind in KINDS if kind.name == "bird"))
    for seed in range(50):
        first, second = choose_classes(np.random.default_rng(seed), world)
        assert first == birds or KINDS[first].home == KINDS[second].home


def test_unknown_split_names_the_near_one() -> None:
    with pytest.raises(DataError, match=r"no split 'vall'.*'val'"):
        Shapes("vall")


def test_no_images() -> None:
    with pytest.raises(DataError, match="no images"):
        Shapes(count=0)


@pytest.mark.parametrize("index", [-1, 12], ids=["before", "after"])
def test_index_outside(few: Shapes, index: int) -> None:
    with pytest.raises(IndexError, match=f"image {index} of 12"):
        few.image(index)
