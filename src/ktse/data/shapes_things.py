"""The seven classes of the Shapes world: each a large body that many share and a small striking part that tells all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ktse.data.shapes_outlines import Outline, bounds, box, ellipse, polygon, rounded_box
from ktse.data.shapes_scenes import SceneName
from ktse.data.shapes_textures import Colour, TextureName, hsv

DARK: Colour = (0.10, 0.10, 0.12)
WHITE: Colour = (0.96, 0.95, 0.92)
STEEL: Colour = (0.70, 0.70, 0.72)
GLASS: Colour = hsv(0.55, 0.25, 0.85)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a thing.

    Attributes:
        outline: Polygon in the thing's frame.
        paint: The body's texture, the same in shade, or a colour of its own.
        is_striking: It belongs to the part that tells the class.
    """

    outline: Outline
    paint: Literal["body", "shaded body"] | Colour
    is_striking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of thing.

    Attributes:
        name: What it is.
        parts: Draws the pieces of one thing, rear to front.
        home: Scene in which it is mostly seen.
        hue: Hue that its body prefers.
        texture: Texture that its body prefers.
        flies: It is seen higher up and tilts more.
        grows_upwards: Its striking part stands on the body and is enlarged from its foot, not from its centre.
    """

    name: str
    parts: Callable[[np.random.Generator], list[Part]]
    home: SceneName
    hue: float
    texture: TextureName
    flies: bool = False
    grows_upwards: bool = False


def body(outline: Outline) -> Part:
    """Return a piece with the body's texture."""
    return Part(outline, "body")


def shaded(outline: Outline) -> Part:
    """Return a piece with the body's texture in shade."""
    return Part(outline, "shaded body")


def plain(outline: Outline, colour: Colour) -> Part:
    """Return a coloured piece that many kinds have: a wheel, a mast, a window."""
    return Part(outline, colour)


def mark(outline: Outline, colour: Colour) -> Part:
    """Return a piece of the striking part."""
    return Part(outline, colour, is_striking=True)


def enlarge_striking(parts: list[Part], factor: float, *, upwards: bool) -> list[Part]:
    """Scale the striking pieces about the centre of their common bounds, or about the middle of its lower edge.

    Example:
        >>> part = enlarge_striking([mark(box(0, 0, 2, 2), DARK)], 2.0, upwards=True)[0]
        >>> bounds([part.outline])
        (-1.0, -2.0, 3.0, 2.0)
    """
    left, top, right, bottom = bounds([part.outline for part in parts if part.is_striking])
    origin = np.array([(left + right) / 2, bottom if upwards else (top + bottom) / 2])
    return [
        replace(part, outline=origin + factor * (part.outline - origin)) if part.is_striking else part for part in parts
    ]


def four_legged(rng: np.random.Generator, *, thickness: float, tail: Outline) -> tuple[list[Part], float, float]:
    """Return legs, tail and trunk of an animal, and where the middle of its head belongs."""
    length = 0.72 + rng.normal(0, 0.04)
    parts = []
    for x in (-0.55, -0.38, 0.32, 0.48):
        step = rng.normal(0, 0.05)
        parts.append(
            shaded(polygon((x - 0.07, -0.05), (x + 0.08, -0.05), (x + 0.06 + step, 0.72), (x - 0.06 + step, 0.72)))
        )
    parts.append(shaded(tail + np.array([rng.normal(0, 0.03) - length, 0])))
    parts.append(body(ellipse(-0.05, -0.05, length, thickness + rng.normal(0, 0.03))))
    return parts, 0.66 + rng.normal(0, 0.04), -0.42 + rng.normal(0, 0.04)


def hull(rng: np.random.Generator) -> list[Part]:
    """Return the hull of a vessel."""
    half = 0.92 + rng.normal(0, 0.04)
    keel = 0.62 + rng.normal(0, 0.04)
    return [
        body(polygon((-half, 0.12), (half + 0.05, 0.06), (keel, 0.52), (-keel - 0.08, 0.52))),
        shaded(polygon((-half, 0.12), (half + 0.05, 0.06), (half - 0.03, 0.16), (0.05 - half, 0.20))),
    ]


def wheels(*middles: float) -> list[Part]:
    """Return wheels under a vehicle at these x."""
    return [
        plain(ellipse(x, 0.42, radius, radius, corners=16), colour)
        for x in middles
        for radius, colour in ((0.20, DARK), (0.09, STEEL))
    ]


def eyes(x: float, y: float, gap: float, size: float, colour: Colour = WHITE) -> list[Part]:
    """Return two eyes, each with a dark pupil, as pieces of a striking head."""
    return [
        mark(ellipse(x + side * gap, y, share * size, share * size, corners=10), paint)
        for side in (-1, 1)
        for share, paint in ((1.0, colour), (0.5, DARK))
    ]


def cat(rng: np.random.Generator) -> list[Part]:
    """Striking: an orange, striped face with green eyes and pointed ears."""
    tail = polygon((0.05, -0.10), (-0.18, -0.50), (-0.28, -0.62), (-0.10, -0.55), (0.14, -0.22))
    parts, x, y = four_legged(rng, thickness=0.27, tail=tail)
    fur = hsv(0.07 + rng.normal(0, 0.01), 0.85, 0.95)
    for side in (-1, 1):
        parts.append(
            mark(polygon((x + side * 0.24, y - 0.05), (x + side * 0.20, y - 0.38), (x + side * 0.02, y - 0.18)), fur)
        )
    parts += [mark(ellipse(x, y, 0.25, 0.22), fur), mark(ellipse(x, y + 0.10, 0.15, 0.10), WHITE)]
    for stripe in (x - 0.06, x, x + 0.06):
        parts.append(mark(polygon((stripe - 0.018, y - 0.20), (stripe + 0.018, y - 0.20), (stripe, y - 0.08)), DARK))
    parts += eyes(x, y - 0.02, 0.10, 0.05, hsv(0.25, 0.8, 0.9))
    return [*parts, mark(ellipse(x, y + 0.06, 0.035, 0.025, corners=8), hsv(0.95, 0.6, 0.8))]


def cow(rng: np.random.Generator) -> list[Part]:
    """Striking: a dark, horned head with a white blaze and a pink muzzle."""
    tail = polygon((0.03, -0.15), (-0.14, -0.05), (-0.16, 0.40), (-0.08, 0.40), (0.10, 0.00))
    parts, x, y = four_legged(rng, thickness=0.33, tail=tail)
    horn: Colour = (0.93, 0.88, 0.70)
    for side in (-1, 1):
        parts.append(
            mark(polygon((x + side * 0.16, y - 0.16), (x + side * 0.34, y - 0.36), (x + side * 0.22, y - 0.08)), horn)
        )
    parts += [
        mark(rounded_box(x - 0.20, y - 0.22, x + 0.20, y + 0.24, 0.09), hsv(0.04, 0.2, 0.25)),
        mark(polygon((x - 0.05, y - 0.22), (x + 0.05, y - 0.22), (x + 0.03, y + 0.05), (x - 0.03, y + 0.05)), WHITE),
        mark(ellipse(x, y + 0.20, 0.19, 0.12), hsv(0.97, 0.38, 0.95)),
    ]
    for side in (-1, 1):
        parts.append(mark(ellipse(x + side * 0.08, y + 0.20, 0.03, 0.035, corners=8), DARK))
    return parts + eyes(x, y - 0.04, 0.12, 0.04)


def sailboat(rng: np.random.Generator) -> list[Part]:
    """Striking: a red pennant with a white wedge at the masthead."""
    x = 0.05 + rng.normal(0, 0.04)
    red = hsv(0.98 + rng.normal(0, 0.01), 0.85, 0.9)
    return [
        *hull(rng),
        plain(box(x - 0.03, -0.85, x + 0.03, 0.12), DARK),
        body(polygon((x + 0.05, -0.60), (x + 0.62 + rng.normal(0, 0.04), 0.05), (x + 0.05, 0.05))),
        mark(polygon((x, -0.98), (x - 0.46, -0.86), (x, -0.74)), red),
        mark(polygon((x, -0.93), (x - 0.28, -0.86), (x, -0.79)), WHITE),
        mark(ellipse(x - 0.10, -0.86, 0.05, 0.05, corners=10), red),
    ]


def steamer(rng: np.random.Generator) -> list[Part]:
    """Striking: a red funnel with a white band and a dark rim."""
    x = -0.08 + rng.normal(0, 0.04)
    roof = -0.20 + rng.normal(0, 0.04)
    return [
        *hull(rng),
        body(polygon((-0.50, roof), (0.42, -0.20), (0.46, 0.12), (-0.52, 0.12))),
        mark(polygon((x - 0.15, -0.72), (x + 0.15, -0.72), (x + 0.17, -0.20), (x - 0.17, -0.20)), hsv(0.99, 0.85, 0.8)),
        mark(polygon((x - 0.15, -0.72), (x + 0.15, -0.72), (x + 0.155, -0.60), (x - 0.155, -0.60)), DARK),
        mark(polygon((x - 0.16, -0.50), (x + 0.16, -0.50), (x + 0.165, -0.38), (x - 0.165, -0.38)), WHITE),
    ]


def taxi(rng: np.random.Generator) -> list[Part]:
    """Striking: a yellow roof sign with a chequered band."""
    roof = -0.42 + rng.normal(0, 0.02)
    parts = [
        shaded(polygon((-0.50, -0.08), (-0.30, roof), (0.30, roof), (0.55, -0.08))),
        body(rounded_box(-0.90, -0.10, 0.92, 0.40, 0.14)),
        plain(polygon((-0.38, -0.10), (-0.24, roof + 0.07), (-0.03, roof + 0.07), (-0.03, -0.10)), GLASS),
        plain(polygon((0.04, -0.10), (0.04, roof + 0.07), (0.24, roof + 0.07), (0.40, -0.10)), GLASS),
        *wheels(-0.52, 0.54),
        mark(polygon((-0.26, roof - 0.24), (0.26, roof - 0.24), (0.30, roof), (-0.30, roof)), hsv(0.14, 0.95, 0.98)),
    ]
    for column in range(4):
        x, y = -0.24 + 0.12 * column, roof - 0.22 + 0.10 * (column % 2)
        parts.append(mark(box(x, y, x + 0.12, y + 0.10), DARK))
    return parts


def bus(rng: np.random.Generator) -> list[Part]:
    """Striking: a dark green destination board with three bright green fields."""
    x = 0.12 + rng.normal(0, 0.04)
    parts = [body(rounded_box(-0.92, -0.62 + rng.normal(0, 0.04), 0.92, 0.40, 0.10))]
    parts += [shaded(box(left, -0.46, left + 0.32, -0.16)) for left in (-0.82, -0.40)]
    parts += wheels(-0.52, 0.54)
    parts.append(mark(box(x, -0.52, 0.80, -0.22), hsv(0.38, 0.9, 0.25)))
    fields = [x + 0.06 + 0.20 * column for column in range(3)]
    return parts + [mark(box(left, -0.46, left + 0.13, -0.28), hsv(0.33, 0.85, 1.0)) for left in fields]


def bird(rng: np.random.Generator) -> list[Part]:
    """Striking: a violet, crested head with a yellow beak and a large eye."""
    x, y = 0.50 + rng.normal(0, 0.03), -0.22 + rng.normal(0, 0.03)
    lift = rng.normal(0, 0.1)
    crest = polygon(
        (x - 0.10, y - 0.12), (x - 0.24, y - 0.42), (x - 0.02, y - 0.26), (x + 0.04, y - 0.46), (x + 0.10, y - 0.14)
    )
    return [
        shaded(polygon((-0.45, 0.02), (-1.00, -0.18 + rng.normal(0, 0.04)), (-0.92, 0.12), (-1.00, 0.30))),
        body(ellipse(-0.08, 0.08, 0.58 + rng.normal(0, 0.04), 0.33 + rng.normal(0, 0.02))),
        shaded(polygon((-0.30, 0.00), (0.22, -0.05), (-0.05, -0.45 + lift), (-0.50, -0.72 + lift))),
        mark(crest, hsv(0.83, 0.80, 0.85)),
        mark(ellipse(x, y, 0.22, 0.21), hsv(0.80 + rng.normal(0, 0.01), 0.75, 0.8)),
        mark(polygon((x + 0.15, y - 0.07), (x + 0.48, y + 0.05), (x + 0.15, y + 0.12)), hsv(0.12, 0.95, 1.0)),
        mark(ellipse(x + 0.06, y - 0.04, 0.075, 0.075, corners=10), WHITE),
        mark(ellipse(x + 0.08, y - 0.04, 0.035, 0.035, corners=8), DARK),
    ]


KINDS: tuple[Kind, ...] = (
    Kind(name="sailboat", parts=sailboat, home="sea", hue=0.10, texture="mottled"),
    Kind(name="steamer", parts=steamer, home="sea", hue=0.60, texture="striped", grows_upwards=True),
    Kind(name="bird", parts=bird, home="sky", hue=0.57, texture="blotched", flies=True),
    Kind(name="cat", parts=cat, home="meadow", hue=0.09, texture="striped"),
    Kind(name="cow", parts=cow, home="meadow", hue=0.06, texture="blotched"),
    Kind(name="bus", parts=bus, home="road", hue=0.97, texture="dotted"),
    Kind(name="taxi", parts=taxi, home="road", hue=0.99, texture="mottled", grows_upwards=True),
)
"""The classes of `Shapes`, in the order of its class list."""
