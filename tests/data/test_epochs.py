from __future__ import annotations

import itertools

import pytest

from ktse.config import Recipe, replace
from ktse.data.epochs import Draw, Epoch, check_batch_size, keyed_generator
from ktse.data.shapes import Shapes
from ktse.errors import DataError, RecipeError


def test_no_two_places_draw_the_same() -> None:
    places = itertools.product(range(2), Draw, range(3), range(4))
    numbers = [keyed_generator(*place).random() for place in places]
    assert len(set(numbers)) == len(numbers) == 2 * 6 * 3 * 4


def epoch(number: int = 0, *, rank: int = 0, world_size: int = 1) -> Epoch:
    return Epoch.shuffled(Shapes(count=20), replace(Recipe(), runtime={"random_seed": 5}), number, rank, world_size)


def test_an_epoch_goes_through_all_images_in_an_order_of_its_own() -> None:
    orders = [tuple(map(epoch(number).index, range(20))) for number in range(3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len(set(orders)) == 3


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_processes_cut_every_batch_among_themselves(world_size: int) -> None:
    processes = [epoch(3, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({tuple(process.order) for process in processes}) == 1
    for step in range(3):
        shares = [process.positions(step, 8) for process in processes]
        assert [position for share in shares for position in share] == list(range(8 * step, 8 * step + 8))


def test_draws_are_those_of_the_place_in_every_process() -> None:
    expected = keyed_generator(5, Draw.MIX, 3, 4).random()
    assert {epoch(3, rank=rank, world_size=2).generator(Draw.MIX, 4).random() for rank in range(2)} == {expected}


def test_impossible_batches_are_refused() -> None:
    data = Shapes(count=6)
    check_batch_size(data, "a.b", 6, world_size=3, micro_batches=2)
    with pytest.raises(DataError, match=r"has 6 images, a\.b asks for 8"):
        check_batch_size(data, "a.b", 8, world_size=1)
    with pytest.raises(
        RecipeError, match=r"a\.b is 6, which does not divide into 2 processes with 2 micro-batches each"
    ):
        check_batch_size(data, "a.b", 6, world_size=2, micro_batches=2)
    with pytest.raises(RecipeError, match=r"a\.b is 6, .* into 2 processes, in groups of 2\. .* multiple of 4"):
        check_batch_size(data, "a.b", 6, world_size=2, together=2)
