from __future__ import annotations

import numpy as np
import pytest

from ktse.data.size_batches import size_batches
from ktse.errors import DataError


@pytest.mark.parametrize(
    ("indices", "limit", "expected"),
    [
        ([0, 1, 2, 3, 4, 5], 2, [[0, 1], [2], [3], [4, 5]]),
        ([0, 1, 2, 3, 4, 5], 9, [[0, 1, 2], [3], [4, 5]]),
        ([5, 3, 4], 9, [[5], [3], [4]]),
        ([2], 1, [[2]]),
        ([], 4, []),
    ],
    ids=["limit", "sizes", "order", "one", "none"],
)
def test_neighbours_of_one_size_come_together(
    array_dataset, indices: list[int], limit: int, expected: list[list[int]]
) -> None:
    images = {3: np.full((5, 4, 3), 3, dtype=np.uint8)}
    batches = list(size_batches(array_dataset([[1]] * 6, images=images), indices, limit))
    assert [chosen for chosen, _ in batches] == expected
    for chosen, stacked in batches:
        assert stacked.shape[0] == len(chosen)
        assert stacked[:, 0, 0, 0].tolist() == chosen


def test_images_are_not_read_before_their_batch_is_asked_for(array_dataset) -> None:
    read: list[int] = []

    class Counting(array_dataset):
        def image(self, index: int) -> np.ndarray:
            read.append(index)
            return super().image(index)

    batches = size_batches(Counting([[1]] * 6), range(6), 2)
    next(batches)
    assert read == [0, 1]


@pytest.mark.parametrize(
    ("size", "expected"),
    [((375, 500), [5]), ((1024, 1024), [4, 1]), ((1080, 1920), [2, 2, 1]), ((1500, 2000), [1] * 5)],
    ids=["VOC", "one megapixel", "two", "three"],
)
def test_large_images_come_in_smaller_batches(array_dataset, size: tuple[int, int], expected: list[int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    batches = list(size_batches(array_dataset([[1]] * 5, images=dict.fromkeys(range(5), image)), range(5), 8))
    assert [len(chosen) for chosen, _ in batches] == expected
    assert [index for chosen, _ in batches for index in chosen] == [0, 1, 2, 3, 4]
    assert all(stacked.shape == (len(chosen), *image.shape) for chosen, stacked in batches)
    assert all(np.shares_memory(stacked, image) for chosen, stacked in batches if len(chosen) == 1)


def test_images_that_cannot_be_read_are_passed_over_where_somebody_notes_them(array_dataset) -> None:
    class WithHole(array_dataset):
        def image(self, index: int) -> np.ndarray:
            if index == 1:
                raise DataError("image 1 is broken.")
            return super().image(index)

    faults: list[DataError] = []
    holed = WithHole([[1]] * 4)
    assert [chosen for chosen, _ in size_batches(holed, range(4), 2, faults=faults)] == [[0, 2], [3]]
    assert [str(fault) for fault in faults] == ["image 1 is broken."]
    with pytest.raises(DataError, match="image 1"):
        list(size_batches(holed, range(4), 2))
