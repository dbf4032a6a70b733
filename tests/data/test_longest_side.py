from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ktse.data.longest_side import reduced_image, reduced_mask, reduced_size

TAGS = [[1, 0], [0, 1], [1, 1]]


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [((30, 40), 20, (15, 20)), ((40, 30), 20, (20, 15)), ((30, 40), 40, (30, 40)), ((1, 1000), 100, (1, 100))],
    ids=["wide", "high", "small enough", "a line"],
)
def test_sizes(size: tuple[int, int], longest: int, expected: tuple[int, int]) -> None:
    assert reduced_size(size, longest) == expected


def test_an_image_is_reduced_as_pillow_does_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((20, 15), Image.Resampling.BICUBIC))
    assert np.array_equal(reduced_image(image, 20), expected)
    assert reduced_image(image, 41) is image


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_mask_is_reduced_as_pillow_does_it(kind: type[np.integer]) -> None:
    mask = np.random.default_rng(0).integers(0, 250, (30, 41)).astype(kind)
    expected = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize((20, 15), Image.Resampling.NEAREST))
    reduced = reduced_mask(mask, 20)
    assert reduced.dtype == kind
    assert np.array_equal(reduced, expected)
    assert np.array_equal(reduced_mask(mask, 41), mask)


def test_a_reduced_data_set_differs_in_images_and_masks_alone(array_dataset) -> None:
    mask = np.arange(400, dtype=np.uint16).reshape(20, 20)
    whole = array_dataset(TAGS, masks={1: mask})
    reduced = whole.reduced(10)
    assert (reduced.ids, reduced.name, reduced.split, reduced.has_masks) == (
        whole.ids,
        whole.name,
        whole.split,
        whole.has_masks,
    )
    assert np.array_equal(reduced.tags, whole.tags)
    assert np.array_equal(reduced.image(2), reduced_image(whole.image(2), 10))
    assert np.array_equal(reduced.mask(1), reduced_mask(mask, 10))
    assert reduced.mask(0) is None
    assert reduced.subset([2]).image(0).shape == (10, 10, 3)


def test_a_run_does_not_go_on_with_images_of_another_size(array_dataset) -> None:
    whole = array_dataset(TAGS)
    prints = {whole.fingerprint(), whole.reduced(10).fingerprint(), whole.reduced(11).fingerprint()}
    assert len(prints) == 3
    assert whole.reduced(10).fingerprint() == array_dataset(TAGS).reduced(10).fingerprint()
