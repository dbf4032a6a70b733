"""Draws one image of the Shapes world: scene, clutter, things, light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ktse.data.shapes_outlines import Outline, bounds, box, ellipse, fill, rounded_box
from ktse.data.shapes_scenes import SCENES, scene
from ktse.data.shapes_textures import TEXTURES, Image, hsv, texture
from ktse.data.shapes_things import Kind, Part, enlarge_striking
from ktse.data.shapes_world import World
from ktse.errors import DataError

Show = Literal["all", "striking", "covered"]
"""What is drawn of each thing: all of it, its striking part only, or all with a grey patch over the striking part."""

MOST_ATTEMPTS = 100
"""Arrangements that are tried until every thing is visible; about 1 in 30 has to be tried again."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A square picture in the making.

    Attributes:
        image: (side, side, 3) colours, changed in place.
        things: (side, side) 0 where no thing is, i + 1 where thing i is seen; changed in place.
    """

    image: Image
    things: NDArray[np.uint8]

    @property
    def side(self) -> int:
        """Side in px."""
        return len(self.image)


def draw(
    rng: np.random.Generator, kinds: Sequence[Kind], *, size: int, world: World, show: Show = "all"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw an image with these things, arranged so that each kind is visible.

    Args:
        rng: Source of randomness; what `show` leaves out is drawn from it all the same, so the rest of the image
            does not depend on it.
        kinds: Kind of each thing; the first decides the scene.
        size: Side of the image, px.
        world: Numbers of the world.
        show: What is drawn of each thing.

    Returns:
        The image (size, size, 3), and a map (size, size) of where thing i is, as i + 1, whatever `show` says.

    Raises:
        DataError: No arrangement shows every kind: the image is too small.

    Example:
        >>> from ktse.data.shapes_things import KINDS
        >>> image, things = draw(np.random.default_rng(0), KINDS[:2], size=48, world=World())
        >>> image.shape, np.unique(things)
        ((48, 48, 3), array([0, 1, 2], dtype=uint8))
    """
    step = world.supersampling
    for _ in range(MOST_ATTEMPTS):
        canvas = _arrange(rng, kinds, size * step, world, show)
        things = np.ascontiguousarray(canvas.things[step // 2 :: step, step // 2 :: step])
        image = _photograph(rng, canvas.image, size, world)
        seen = np.bincount(things.ravel(), minlength=len(kinds) + 1)[1:]
        share = {kind.name: 0.0 for kind in kinds}
        for kind, pixels in zip(kinds, seen, strict=True):
            share[kind.name] += pixels / size**2
        if min(share.values()) >= world.smallest_visible:
            return image, things
    raise DataError(
        f"no arrangement of {len(kinds)} things on {size} x {size} px shows each of them.", remedy="Use larger images."
    )


def _arrange(rng: np.random.Generator, kinds: Sequence[Kind], side: int, world: World, show: Show) -> Canvas:
    """Draw scene, clutter and things."""
    name = kinds[0].home if rng.random() < world.home_scene else SCENES[rng.integers(len(SCENES))]
    image = np.ascontiguousarray(scene(rng, name, side, open_ground=world.open_ground))
    canvas = Canvas(image, np.zeros((side, side), np.uint8))
    for _ in range(rng.integers(world.clutter[0], world.clutter[1] + 1)):
        _draw_clutter(rng, canvas, world)
    slots = rng.permutation(len(kinds))
    shrink = world.third_shrink if len(kinds) > 2 else 1.0
    for index, kind in enumerate(kinds):
        if len(kinds) == 1:
            x = rng.uniform(0.36, 0.64)
            radius = rng.uniform(*world.single_radius)
        else:
            x = (slots[index] + 0.5) / len(kinds) + rng.uniform(-0.07, 0.07)
            radius = rng.uniform(*world.several_radius) * shrink
        y = rng.uniform(0.30, 0.60) if kind.flies else rng.uniform(0.48, 0.72)
        _draw_thing(rng, canvas, kind, index + 1, (x * side, y * side), radius * side / 2, world, show)
    return canvas


def _draw_thing(
    rng: np.random.Generator,
    canvas: Canvas,
    kind: Kind,
    number: int,
    centre: tuple[float, float],
    radius: float,
    world: World,
    show: Show,
) -> None:
    """Draw a thing with its shadow, and enter it into the map."""
    parts = enlarge_striking(kind.parts(rng), world.striking_size, upwards=kind.grows_upwards)
    frame = _frame(rng, radius, world.flight_tilt if kind.flies else world.tilt)
    left, top, right, bottom = _window(centre, 1.5 * radius, canvas.side)
    offset = np.array(centre) - [left, top]
    parts = [Part(part.outline @ frame.T + offset, part.paint, part.is_striking) for part in parts]
    shown = [part for part in parts if part.is_striking] if show == "striking" else parts
    image = canvas.image[top:bottom, left:right]
    height, width = image.shape[:2]
    coat = _coat(rng, kind, height, width, canvas.side, world)
    light = 1 - 0.16 * np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    light = light + np.float32(0.07 * rng.uniform(-1, 1)) * np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]

    silhouette = np.zeros((height, width), np.uint8)
    fill(silhouette, [part.outline for part in shown], smooth=False)
    _cast_shadow(image, silhouette, radius)
    for part in shown:
        _paint(image, part, coat, light)
    if show == "covered":
        x0, y0, x1, y1 = bounds([part.outline for part in parts if part.is_striking])
        patch = ellipse((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2 * np.sqrt(2), (y1 - y0) / 2 * np.sqrt(2))
        _paint(image, Part(patch, (0.5, 0.5, 0.5)), coat, light)
    if show == "striking":
        fill(silhouette, [part.outline for part in parts], smooth=False)
    canvas.things[top:bottom, left:right][silhouette > 0] = number


def _frame(rng: np.random.Generator, radius: float, tilt: float) -> NDArray[np.float64]:
    """Return the (2, 2) matrix from a thing's frame to pixels: mirrored or not, scaled, sheared, rotated."""
    angle = np.deg2rad(rng.normal(0, tilt))
    mirror = rng.choice([-1, 1])
    stretch_x, stretch_y = radius * rng.uniform(0.85, 1.15, size=2)
    shear = rng.normal(0, 0.08)
    frame: NDArray[np.float64] = _rotation(angle) @ [[mirror * stretch_x, shear * stretch_x], [0, stretch_y]]
    return frame


def _rotation(angle: float) -> NDArray[np.float64]:
    """Return the (2, 2) matrix of a turn by this angle in radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float64)


def _window(centre: tuple[float, float], reach: float, side: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the part of the canvas within `reach` of the centre."""
    x, y = centre
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    return left, top, min(side, int(x + reach) + 1), min(side, int(y + reach) + 1)


def _coat(rng: np.random.Generator, kind: Kind, height: int, width: int, side: int, world: World) -> Image:
    """Return the body's texture: two shades of its kind's hue or of any."""
    own_texture = rng.random() < world.own_texture
    name = kind.texture if own_texture else TEXTURES[rng.integers(len(TEXTURES))]
    hue = rng.normal(kind.hue, 0.035) if rng.random() < world.own_hue else rng.random()
    saturation, value = rng.uniform(*world.body_saturation), rng.uniform(0.45, 0.95)
    other = value * rng.uniform(0.55, 0.75) if value > 0.6 else min(1.0, 1.6 * value)
    low, high = hsv(hue, saturation, value), hsv(hue + rng.normal(0, 0.06), 0.8 * saturation, other)
    return texture(rng, name, height, width, low, high, side=side)


def _cast_shadow(image: Image, silhouette: NDArray[np.uint8], radius: float) -> None:
    """Darken what is behind a silhouette and a little to the lower right of it, in place."""
    moved = np.roll(silhouette, (int(0.07 * radius), int(0.05 * radius)), (0, 1))
    shadow = cv2.GaussianBlur(moved, (0, 0), max(1.0, 0.07 * radius))
    image *= 1 - np.float32(0.35 / 255) * shadow[..., None]


def _paint(image: Image, part: Part, coat: Image, light: NDArray[np.float32]) -> None:
    """Paint a part into the image, in place; only the rectangle around it is touched."""
    x0, y0, x1, y1 = bounds([part.outline])
    height, width = image.shape[:2]
    left, top, right, bottom = (
        max(0, int(x0) - 1),
        max(0, int(y0) - 1),
        min(width, int(x1) + 3),
        min(height, int(y1) + 3),
    )
    if left >= right or top >= bottom:
        return
    region = slice(top, bottom), slice(left, right)
    coverage = np.zeros((bottom - top, right - left), np.uint8)
    fill(coverage, [part.outline - [left, top]], smooth=True)
    colour: Image
    if part.paint == "body":
        colour = coat[region]
    elif part.paint == "shaded body":
        colour = np.float32(0.78) * coat[region]
    else:
        colour = np.array(part.paint, np.float32)
    image[region] += coverage[..., None] * np.float32(1 / 255) * (colour * light[region] - image[region])


def _draw_clutter(rng: np.random.Generator, canvas: Canvas, world: World) -> None:
    """Draw a rock, a crate, a log or a post with any texture, behind the things."""
    side = canvas.side
    radius = rng.uniform(0.06, 0.20) * side
    centre = rng.uniform(0.05, 0.95) * side, rng.uniform(0.25, 0.98) * side
    bumps = 1 + 0.18 * rng.normal(size=(14, 1))
    shapes: tuple[Outline, ...] = (
        bumps * ellipse(0, 0, 1.3, 0.8, end=13 / 14, corners=14),
        box(-1, -0.8, 1, 0.8),
        rounded_box(-1.6, -0.35, 1.6, 0.35, 0.3),
        rounded_box(-0.25, -1.6, 0.25, 1.2, 0.2),
    )
    rotation = _rotation(rng.normal(0, 0.15))
    left, top, right, bottom = _window(centre, 2 * radius, side)
    outline = radius * shapes[rng.integers(len(shapes))] @ rotation.T + np.array(centre) - [left, top]
    image = canvas.image[top:bottom, left:right]
    height, width = image.shape[:2]
    hue, saturation, value = rng.random(), rng.uniform(*world.body_saturation), rng.uniform(0.3, 0.9)
    low, high = hsv(hue, saturation, value), hsv(hue, saturation, 0.7 * value)
    coat = texture(rng, TEXTURES[rng.integers(len(TEXTURES))], height, width, low, high, side=side)
    light = np.broadcast_to(1 - 0.15 * np.linspace(-1, 1, height, dtype=np.float32)[:, None, None], (height, width, 1))
    silhouette = np.zeros((height, width), np.uint8)
    fill(silhouette, [outline], smooth=False)
    _cast_shadow(image, silhouette, radius)
    _paint(image, Part(outline, "body"), coat, light)


def _photograph(rng: np.random.Generator, image: Image, size: int, world: World) -> NDArray[np.uint8]:
    """Return the canvas as a camera sees it: light, tint, fewer pixels, noise."""
    slope_x, slope_y = rng.normal(0, world.light_gradient, size=2)
    place = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    light = rng.uniform(*world.gain) * (1 + slope_x * place[None, :] + slope_y * place[:, None])
    tint = 1 + rng.normal(0, world.tint, size=3)
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    grain = np.float32(world.noise) * rng.standard_normal(small.shape, dtype=np.float32)
    seen = small * (light[..., None] * tint).astype(np.float32) + grain
    values: NDArray[np.uint8] = (np.clip(seen, 0, 1) * 255 + 0.5).astype(np.uint8)
    return values
