from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.config import DataSettings, LocalizationSettings
from ktse.data.transforms import augment, normalize, random_crop, random_mirror, random_resize

SIDES = st.integers(1, 40)
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, low=st.integers(1, 30), extra=st.integers(0, 10), seed=SEEDS)
def test_resize_keeps_the_aspect_up_to_rounding(height: int, width: int, low: int, extra: int, seed: int) -> None:
    resized = random_resize(
        np.zeros((height, width, 3), dtype=np.uint8), (low, low + extra), np.random.default_rng(seed)
    )
    new_height, new_width, channels = resized.shape
    longer = max(new_height, new_width)
    assert (channels, resized.dtype) == (3, np.uint8)
    assert low <= longer <= low + extra
    expected = longer * min(height, width) / max(height, width)
    assert abs(min(new_height, new_width) - max(expected, 1)) <= 0.5 + 1e-9


def test_resize_draws_every_length_of_the_range_alike() -> None:
    generator = np.random.default_rng(0)
    image = np.zeros((2, 4, 3), dtype=np.uint8)
    lengths = [random_resize(image, (6, 9), generator).shape[1] for _ in range(800)]
    counts = np.bincount(lengths, minlength=11)
    assert counts[[6, 7, 8, 9]].sum() == 800
    assert counts[[6, 7, 8, 9]].min() > 150  # 200 expected, deviation 12


@pytest.mark.parametrize("length", [12, 40], ids=["smaller", "larger"])
def test_resize_is_bicubic_with_antialiasing(length: int) -> None:
    image = np.random.default_rng(1).integers(90, 165, (24, 24, 3)).astype(np.uint8)  # far from 0 and 255: no clipping
    resized = random_resize(image, (length, length), np.random.default_rng(0))
    as_tensor = torch.from_numpy(image).permute(2, 0, 1)[None].double()  # (H, W, 3) -> (1, 3, H, W)
    expected = torch.nn.functional.interpolate(as_tensor, (length, length), mode="bicubic", antialias=True)
    difference = torch.from_numpy(resized.astype(float)).permute(2, 0, 1) - expected[0]
    assert difference.abs().max() <= 1.01  # Pillow rounds after each axis


def test_mirror_is_drawn_with_its_probability() -> None:
    image = np.array([[[1], [2]]], dtype=np.uint8)
    generator = np.random.default_rng(0)
    mirrored = sum(random_mirror(image, 0.25, generator)[0, 0, 0] == 2 for _ in range(2000))
    assert 430 < mirrored < 570  # 500 expected, deviation 19
    assert all((random_mirror(image, 0.0, generator) == image).all() for _ in range(20))


def test_normalize_by_hand() -> None:
    pixel = np.array([[[0, 51, 255]]], dtype=np.uint8)
    result = normalize(pixel, (0.5, 0.1, 0.25), (0.25, 0.1, 0.5))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[[-2.0, 1.0, 1.5]]], rtol=1e-6)


@settings(max_examples=80, deadline=None)
@given(height=SIDES, width=SIDES, size=st.integers(1, 40), seed=SEEDS)
def test_crop_is_a_shifted_part_of_the_image_in_zeros(height: int, width: int, size: int, seed: int) -> None:
    numbered = np.arange(1, height * width + 1, dtype=np.float32).reshape(height, width, 1)
    crop = random_crop(numbered, size, np.random.default_rng(seed))[..., 0]
    assert crop.shape == (size, size)
    rows, columns = np.nonzero(crop)
    assert len(rows) == min(height, size) * min(width, size)
    from_rows, from_columns = np.divmod(crop[rows, columns].astype(int) - 1, width)
    assert len({*(rows - from_rows).tolist()}) == 1  # one offset for all pixels
    assert len({*(columns - from_columns).tolist()}) == 1


@pytest.mark.parametrize(
    ("shape", "size"), [((7, 7), 4), ((4, 4), 7), ((7, 4), 5)], ids=["cut", "pasted", "cut and pasted"]
)
def test_crop_draws_every_place_on_each_axis_by_itself(shape: tuple[int, int], size: int) -> None:
    numbered = np.arange(1, shape[0] * shape[1] + 1, dtype=np.float32).reshape(*shape, 1)
    generator = np.random.default_rng(0)
    places = {random_crop(numbered, size, generator)[..., 0].tobytes() for _ in range(500)}
    assert len(places) == (abs(shape[0] - size) + 1) * (abs(shape[1] - size) + 1)


def test_padding_is_the_mean_colour() -> None:
    data, localization = DataSettings(), LocalizationSettings(resize_range=(8, 8), crop_size=16)
    result = augment(np.full((8, 8, 3), 255, dtype=np.uint8), data, localization, np.random.default_rng(0))
    white = (1 - np.array(data.mean)) / np.array(data.std)
    assert (result == 0).all(axis=0).sum() == 16 * 16 - 8 * 8
    np.testing.assert_allclose(result.reshape(3, -1).max(axis=1), white, rtol=1e-6)


def test_augment_mirrors_before_it_crops() -> None:
    image = np.random.default_rng(2).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    always, never = (
        LocalizationSettings(resize_range=(20, 20), crop_size=16, flip_probability=chance) for chance in (1, 0)
    )
    of_image = augment(image, DataSettings(), always, np.random.default_rng(3))
    of_mirror = augment(image[:, ::-1], DataSettings(), never, np.random.default_rng(3))
    assert (of_image == of_mirror).all()
    assert of_image.dtype == np.float32
    assert of_image.flags.c_contiguous
