from __future__ import annotations

import numpy as np
import pytest

from ktse.ops.wrapped_image import wrapped_image


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((0, 0, 0), (256 - 122, 256 - 116, 256 - 104)),
        ((122, 116, 104), (0, 0, 0)),  # -0.675, -0.669, -0.008: fractions are cut off towards 0
        ((121, 115, 103), (255, 255, 255)),
        ((123, 118, 106), (0, 1, 1)),
        ((255, 255, 255), (132, 138, 150)),
    ],
    ids=["black", "just below the mean", "one below the mean", "above the mean", "white"],
)
def test_by_hand(value: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    image = np.tile(np.array(value, np.uint8), (2, 3, 1))
    wrapped = wrapped_image(image)
    assert wrapped.shape == (2, 3, 3)
    assert wrapped.dtype == np.uint8
    assert np.array_equal(wrapped[1, 2], expected)


def test_another_mean_and_an_image_that_is_left_alone() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    image.flags.writeable = False
    assert np.array_equal(wrapped_image(image, (0, 0, 0)), image)
    assert np.array_equal(wrapped_image(image, (1, 1, 1)), image - np.uint8(1))
