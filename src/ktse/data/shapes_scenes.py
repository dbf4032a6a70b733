"""The five scenes of the Shapes world: sea, meadow, road, sky and sand."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ktse.data.shapes_textures import Image, hsv, noise, ramp

SceneName = Literal["sea", "meadow", "road", "sky", "sand"]
SCENES: tuple[SceneName, ...] = get_args(SceneName)


def scene(rng: np.random.Generator, name: SceneName, side: int, *, open_ground: float) -> Image:
    """Return an empty scene: ground below a horizon, sky above.

    Args:
        rng: Source of randomness.
        name: One of `SCENES`.
        side: Side of the square canvas, px.
        open_ground: Chance that no sky is seen.

    Returns:
        (side, side, 3).

    Example:
        >>> scene(np.random.default_rng(0), "sea", 32, open_ground=0.25).shape
        (32, 32, 3)
    """
    sky = _sky(rng, side)
    if name == "sky":
        return sky
    ground = {"sea": _sea, "meadow": _meadow, "road": _road, "sand": _sand}[name](rng, side)
    horizon = 0.0 if rng.random() < open_ground else rng.uniform(0.12, 0.45)
    roughness = 0.1 if name in ("meadow", "sand") else 0.0
    edge = side * (horizon + roughness * (noise(rng, 2, side, 3, aspect=3)[0] - 0.5))
    below = np.clip(np.arange(side, dtype=np.float32)[:, None] - edge[None], 0, 1)[..., None]
    ground -= sky
    ground *= below
    ground += sky
    return ground


def _sky(rng: np.random.Generator, side: int) -> Image:
    """Blue above, hazy below, with soft clouds."""
    height = np.linspace(0, 1, side, dtype=np.float32)[:, None]
    clouds = 0.7 * noise(rng, side, side, 3, aspect=1.5) + 0.3 * height
    hue = rng.normal(0.58, 0.015)
    return ramp(clouds, hsv(hue, rng.uniform(0.3, 0.6), rng.uniform(0.65, 0.9)), hsv(hue, 0.08, 0.97))


def _sea(rng: np.random.Generator, side: int) -> Image:
    """Blue-green water with waves."""
    swell = noise(rng, side, side, 14, aspect=0.25)
    phase = np.linspace(0, rng.uniform(60, 110), side, dtype=np.float32)[:, None]
    waves = np.clip(0.6 * swell + 0.2 * (1 + np.sin(phase + 9 * swell)), 0, 1)
    hue = rng.normal(0.56, 0.015)
    return ramp(waves, hsv(hue + 0.01, 0.75, rng.uniform(0.35, 0.55)), hsv(hue - 0.02, 0.4, 0.85))


def _meadow(rng: np.random.Generator, side: int) -> Image:
    """Green grass, dark and light."""
    grass = np.clip(1.5 * noise(rng, side, side, 10, octaves=4) - 0.25, 0, 1)
    hue = rng.normal(0.27, 0.015)
    return ramp(grass, hsv(hue + 0.03, 0.6, rng.uniform(0.25, 0.4)), hsv(hue - 0.03, 0.55, 0.75))


def _road(rng: np.random.Generator, side: int) -> Image:
    """Grey asphalt with a dashed line."""
    grey = rng.uniform(0.3, 0.55)
    asphalt = ramp(noise(rng, side, side, 40, octaves=2), hsv(0.6, 0.06, grey - 0.1), hsv(0.6, 0.03, grey + 0.15))
    rows = np.abs(np.arange(side) / side - rng.uniform(0.6, 0.85)) < 0.018
    dash = rng.uniform(0.09, 0.16)
    columns = (np.arange(side) / side + rng.random()) % (2 * dash) < dash
    asphalt[np.ix_(rows, columns)] = hsv(0.13, 0.25, 0.92)
    return asphalt


def _sand(rng: np.random.Generator, side: int) -> Image:
    """Yellow sand, fine grains."""
    hue = rng.normal(0.11, 0.015)
    return ramp(noise(rng, side, side, 24), hsv(hue - 0.01, 0.45, 0.62), hsv(hue + 0.01, 0.28, 0.93))
