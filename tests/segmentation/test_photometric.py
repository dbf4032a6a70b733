from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ktse.config import CoTrainingSettings
from ktse.segmentation.photometric import apply_changes, draw_change, hsv_to_rgb, rgb_to_hsv, shift_hsv

SETTINGS = CoTrainingSettings()
SIDES = SETTINGS.blur_sizes


def images(count: int = 2, height: int = 12, width: int = 14) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def change(**numbers: float) -> list[float]:
    names = ("brightness", "contrast", "hue", "saturation", "value", "grey", "blur")
    assert set(numbers) <= set(names)
    return [numbers.get(name, 0.0) for name in names]


def apply(given: Tensor, *changes: list[float]) -> Tensor:
    return apply_changes(given, torch.tensor(changes), blur_sizes=SIDES)


colours = st.tuples(*[st.integers(0, 255).map(lambda level: level / 255)] * 3)


@settings(max_examples=200, deadline=None)
@given(colours)
def test_hsv_agrees_with_colorsys(colour: tuple[float, float, float]) -> None:
    pixel = torch.tensor(colour).reshape(1, 3, 1, 1)
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    assert rgb_to_hsv(pixel).flatten().tolist() == pytest.approx([360 * hue, saturation, value], abs=1e-3)
    assert hsv_to_rgb(rgb_to_hsv(pixel)).flatten().tolist() == pytest.approx(colour, abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(colours, st.floats(-180, 180), st.floats(-1, 1), st.floats(-1, 1))
def test_shifts_agree_with_colorsys(
    colour: tuple[float, float, float], hue: float, saturation: float, value: float
) -> None:
    before = colorsys.rgb_to_hsv(*colour)
    expected = colorsys.hsv_to_rgb(
        (before[0] + hue / 360) % 1, min(max(before[1] + saturation, 0), 1), min(max(before[2] + value, 0), 1)
    )
    shifted = shift_hsv(
        torch.tensor(colour).reshape(1, 3, 1, 1), torch.tensor([hue, saturation, value]).reshape(1, 3, 1, 1)
    )
    assert shifted.flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_hsv_agrees_with_opencv() -> None:
    pixels = images(1, 40, 40)
    expected = cv2.cvtColor(pixels[0].permute(1, 2, 0).numpy(), cv2.COLOR_RGB2HSV)
    assert np.abs(rgb_to_hsv(pixels)[0].permute(1, 2, 0).numpy() - expected).max() < 1e-3


def test_contrast_comes_before_brightness_and_both_stop_at_black_and_white() -> None:
    pixels = torch.tensor([0.1, 0.5, 0.9])[None, :, None, None].expand(1, 3, 8, 8)
    assert apply(pixels, change(contrast=0.2, brightness=-0.2))[0, :, 0, 0].tolist() == pytest.approx([0, 0.4, 0.88])
    assert apply(pixels, change(contrast=0.2, brightness=0.2))[0, :, 0, 0].tolist() == pytest.approx([0.32, 0.8, 1])


def test_grey_agrees_with_opencv() -> None:
    pixels = images()
    grey = apply(pixels, change(grey=1), change(grey=1))
    for one, expected in zip(grey, pixels, strict=True):
        luminance = cv2.cvtColor(expected.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
        for channel in one:
            assert np.abs(channel.numpy() - luminance).max() < 3e-4  # torchvision rounds its weights to four digits


@pytest.mark.parametrize("side", SIDES)
def test_blur_agrees_with_opencv(side: int) -> None:
    pixels = images(1)
    deviation = 0.3 * ((side - 1) * 0.5 - 1) + 0.8  # of a kernel of this side, in OpenCV's documentation
    expected = cv2.GaussianBlur(pixels[0].permute(1, 2, 0).numpy(), (side, side), deviation)
    blurred = apply(pixels, change(blur=side))[0].permute(1, 2, 0).numpy()
    assert np.abs(blurred - expected).max() < 1e-6
    assert np.abs(blurred - pixels[0].permute(1, 2, 0).numpy()).max() > 0.1


def test_each_image_gets_its_own_change_and_no_change_leaves_it_as_it_is() -> None:
    pixels = images(4)
    changes = [change(), change(grey=1), change(hue=40, saturation=-0.1, value=0.05), change(blur=5, brightness=0.1)]
    together = apply(pixels, *changes)
    assert torch.equal(together[0], pixels[0])
    for number, own in enumerate(changes):
        assert torch.allclose(together[number], apply(pixels[number : number + 1], own)[0], atol=1e-7)


def test_mixed_precision_changes_nothing() -> None:
    pixels = images(3)
    changes = [change(blur=5), change(blur=3, brightness=0.1, contrast=0.2), change(hue=40, saturation=0.1, grey=1)]
    expected = apply(pixels, *changes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = apply(pixels, *changes)
        assert (pixels @ pixels.mT).dtype == torch.bfloat16, "autocast goes on afterwards"
    assert torch.equal(mixed, expected)


def test_colours_stay_colours() -> None:
    extreme = CoTrainingSettings(brightness=2, contrast=2, hue=180, saturation=2, value=2, colour_probability=1)
    changes = np.stack([draw_change(extreme, np.random.default_rng(seed)) for seed in range(60)])
    changed = apply_changes(images(60, 8, 8), torch.from_numpy(changes), blur_sizes=SIDES)
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6
    assert changed.isfinite().all()


def test_draws_have_the_chances_and_limits_of_the_settings() -> None:
    drawn = np.stack([draw_change(SETTINGS, np.random.default_rng(seed)) for seed in range(2000)])
    limits = [0.2, 0.2, 40, 30 / 255, 20 / 255]
    assert drawn.shape == (2000, 7)
    assert drawn.dtype == np.float32
    shifts = drawn[:, :5] / limits
    changed = (shifts != 0).all(axis=1)
    assert np.array_equal(changed, (shifts != 0).any(axis=1))
    assert changed.mean() == pytest.approx(0.8, abs=0.04)
    assert np.abs(shifts).max() <= 1 + 1e-6
    assert shifts[changed].std(axis=0) == pytest.approx(np.full(5, 1 / np.sqrt(3)), abs=0.03)
    assert np.abs(np.corrcoef(shifts[changed].T) - np.eye(5)).max() < 0.12
    assert drawn[:, 5].mean() == pytest.approx(0.2, abs=0.04)
    assert set(drawn[:, 6]) == {0, *SIDES}
    assert (drawn[:, 6] > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert (drawn[:, 6] == 3).mean() == pytest.approx(0.25, abs=0.04)
