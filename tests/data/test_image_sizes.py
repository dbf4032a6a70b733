from __future__ import annotations

import numpy as np

from ktse.data.image_sizes import LOOKED_AT, ImageSizes, look_at_sizes


def test_typical_is_near_the_mean_and_largest_is_largest(array_dataset) -> None:
    sides = [10, 20, 30, 60, 80]  # the untagged last one is not looked at; mean 1250 pixels, nearest 30 x 30
    images = {index: np.zeros((side, side, 3), np.uint8) for index, side in enumerate(sides)}
    dataset = array_dataset([[1], [1], [1], [1], [0]], images=images)
    assert look_at_sizes(dataset) == ImageSizes(typical=2, largest=3, ratio=4.0)


def test_without_tags_all_are_looked_at(array_dataset) -> None:
    images = {0: np.zeros((4, 4, 3), np.uint8), 1: np.zeros((8, 4, 3), np.uint8)}
    assert look_at_sizes(array_dataset([[0], [0]], images=images)).largest == 1


def test_not_all_of_many_images_are_read(array_dataset) -> None:
    dataset, read = array_dataset([[1]] * 100), []
    image = dataset.image
    dataset.image = lambda index: read.append(index) or image(index)
    look_at_sizes(dataset)
    assert len(set(read)) == len(read) == LOOKED_AT
    assert {0, 99} <= set(read)
