from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ktse.data.shapes_drawing import draw
from ktse.data.shapes_other_things import OTHER_KINDS
from ktse.data.shapes_things import KINDS, Kind
from ktse.data.shapes_world import World
from ktse.errors import DataError

STILL = World(noise=0.0, tint=0.0, light_gradient=0.0, gain=(1.0, 1.0), clutter=(0, 0))


def drawn(kinds: list[Kind], *, show: str = "all", world: World = STILL) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return draw(np.random.default_rng(3), kinds, size=64, world=world, show=show)  # type: ignore[arg-type] # parametrised


@pytest.mark.parametrize("kind", [*KINDS, *OTHER_KINDS], ids=lambda kind: kind.name)
def test_every_kind_can_be_drawn(kind: Kind) -> None:
    image, things = drawn([kind])
    assert image.shape == (64, 64, 3)
    assert 0.05 < (things == 1).mean() < 0.6


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("show", ["striking", "covered"])
def test_what_is_shown_changes_the_thing_alone(kind: Kind, show: str) -> None:
    whole, things = drawn([kind])
    partly, same_things = drawn([kind], show=show)
    np.testing.assert_array_equal(things, same_things)
    changed = np.any(whole != partly, axis=2)
    assert changed[things == 1].any()
    assert not changed.all()
    # far from the thing, beyond its shadow and the patch, nothing changes
    rows, columns = np.nonzero(things)
    far = np.ones_like(changed)
    far[max(0, rows.min() - 24) : rows.max() + 24, max(0, columns.min() - 24) : columns.max() + 24] = False
    assert not changed[far].any()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_striking_part_is_small(kind: Kind) -> None:
    _, things = drawn([kind])
    whole, _ = drawn([kind], show="all")
    covered, _ = drawn([kind], show="covered")
    bare, _ = drawn([kind], show="striking")
    body = np.any(whole != bare, axis=2) & (things == 1)  # what is gone without the body
    assert body.mean() > 0.5 * (things == 1).mean()
    assert np.any(whole != covered)


def test_later_things_lie_on_earlier_ones() -> None:
    crowd = [KINDS[0], KINDS[1], KINDS[2]]
    _, things = drawn(crowd, world=World())
    assert set(np.unique(things)) == {0, 1, 2, 3}


def test_home_scene_decides_the_colours() -> None:
    at_home = World(home_scene=1.0, open_ground=1.0)
    sea, _ = draw(np.random.default_rng(0), [KINDS[0]], size=64, world=at_home)
    meadow, _ = draw(np.random.default_rng(0), [KINDS[3]], size=64, world=at_home)
    assert sea[:8, :, 2].mean() > sea[:8, :, 0].mean()  # bluer than red
    assert meadow[:8, :, 1].mean() > meadow[:8, :, 2].mean()  # greener than blue


def test_noise_is_as_strong_as_the_world_says() -> None:
    kinds = [KINDS[0]]
    clean, _ = drawn(kinds)
    grainy, _ = drawn(kinds, world=World(noise=0.03, tint=0.0, light_gradient=0.0, gain=(1.0, 1.0), clutter=(0, 0)))
    middle = (clean > 40) & (clean < 215)  # away from the ends, where noise is cut
    deviation = (grainy.astype(float) - clean)[middle].std() / 255
    assert deviation == pytest.approx(0.03, rel=0.1)


def test_too_small_an_image_is_refused() -> None:
    impossible = World(smallest_visible=0.9)
    with pytest.raises(DataError, match="no arrangement of 2 things"):
        draw(np.random.default_rng(0), KINDS[:2], size=16, world=impossible)
