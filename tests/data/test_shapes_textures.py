from __future__ import annotations

import numpy as np
import pytest

from ktse.data.shapes_scenes import SCENES, SceneName, scene
from ktse.data.shapes_textures import TEXTURES, TextureName, hsv, noise, ramp, texture


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((0, 1, 1), (1, 0, 0)), ((1 / 3, 1, 0.5), (0, 0.5, 0)), ((1.5, 0, 0.7), (0.7, 0.7, 0.7)), ((-1, 2, 3), (1, 0, 0))],
    ids=["red", "dark green", "grey", "cut and wrapped"],
)
def test_hsv(colour: tuple[float, float, float], expected: tuple[float, float, float]) -> None:
    assert hsv(*colour) == pytest.approx(expected)


def test_ramp_is_linear_between_its_colours() -> None:
    image = ramp(np.array([[0.0, 0.25, 1.0]], np.float32), (0, 1, 0.5), (1, 0, 0.5))
    np.testing.assert_allclose(image, [[[0, 1, 0.5], [0.25, 0.75, 0.5], [1, 0, 0.5]]])


def test_noise_is_smooth_and_centred() -> None:
    field = noise(np.random.default_rng(0), 96, 96, 4, octaves=1)
    assert field.mean() == pytest.approx(0.5, abs=0.15)
    assert np.abs(np.diff(field, axis=0)).max() < 0.1  # 24 px a blob
    assert field.std() > 0.1


@pytest.mark.parametrize("name", TEXTURES)
def test_textures_stay_between_their_colours(name: TextureName) -> None:
    image = texture(np.random.default_rng(1), name, 60, 80, (0.2, 0.2, 0.2), (0.8, 0.8, 0.8), side=192)
    assert image.shape == (60, 80, 3)
    assert image.min() > 0.1
    assert image.max() < 0.9
    assert image.std() > 0.02


@pytest.mark.parametrize("name", ["striped", "dotted"])
def test_patterns_repeat_in_proportion_to_the_canvas(name: TextureName) -> None:
    small = texture(np.random.default_rng(2), name, 96, 96, (0, 0, 0), (1, 1, 1), side=96)[..., 0]
    large = texture(np.random.default_rng(2), name, 192, 192, (0, 0, 0), (1, 1, 1), side=192)[..., 0]
    np.testing.assert_allclose(large.mean(), small.mean(), atol=0.1)
    edges_small = np.abs(np.diff(small > 0.5, axis=1)).sum(axis=1).mean()
    edges_large = np.abs(np.diff(large > 0.5, axis=1)).sum(axis=1).mean()
    assert edges_large == pytest.approx(edges_small, rel=0.3)  # as many on twice the length


@pytest.mark.parametrize("name", SCENES)
def test_scene(name: SceneName) -> None:
    image = scene(np.random.default_rng(0), name, 48, open_ground=0.0)
    assert image.shape == (48, 48, 3)
    assert image.dtype == np.float32
    assert image.min() > -0.3
    assert image.max() < 1.3


@pytest.mark.parametrize("open_ground", [0.0, 1.0], ids=["with sky", "without sky"])
def test_horizon(open_ground: float) -> None:
    image = scene(np.random.default_rng(0), "meadow", 48, open_ground=open_ground)
    is_sky = image[0, :, 2].mean() > image[0, :, 1].mean()
    assert is_sky == (open_ground == 0.0)
