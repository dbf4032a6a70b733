"""Kinds of things that are no class of the Shapes world: the demo's trunk is pre-trained on these.

They are made like the classes, a small striking part on a large body, so that what a network learns from them
(edges, textures to look past, small marks to look for) serves the classes as ImageNet serves VOC.
"""

from __future__ import annotations

import numpy as np

from ktse.data.shapes_outlines import box, ellipse, polygon, rounded_box
from ktse.data.shapes_textures import Colour, hsv
from ktse.data.shapes_things import (
    DARK,
    GLASS,
    STEEL,
    WHITE,
    Kind,
    Part,
    body,
    eyes,
    four_legged,
    hull,
    mark,
    plain,
    shaded,
    wheels,
)

RED: Colour = hsv(0.0, 0.85, 0.85)
YELLOW: Colour = hsv(0.14, 0.9, 0.98)
GREEN: Colour = hsv(0.35, 0.75, 0.65)
BLUE: Colour = hsv(0.62, 0.8, 0.85)
BROWN: Colour = hsv(0.07, 0.6, 0.45)
PINK: Colour = hsv(0.96, 0.35, 0.95)


def dog(rng: np.random.Generator) -> list[Part]:
    """Striking: a white face with hanging brown ears and a red tongue."""
    tail = polygon((0.10, -0.20), (-0.20, -0.40), (-0.16, -0.24), (0.10, -0.02))
    parts, x, y = four_legged(rng, thickness=0.26, tail=tail)
    parts += [mark(ellipse(x, y, 0.22, 0.24), WHITE), mark(ellipse(x, y + 0.26, 0.06, 0.11), RED)]
    parts += [mark(ellipse(x + side * 0.22, y + 0.04, 0.09, 0.24), BROWN) for side in (-1, 1)]
    return [*parts, *eyes(x, y - 0.06, 0.09, 0.05, STEEL), mark(ellipse(x, y + 0.09, 0.08, 0.06), DARK)]


def sheep(rng: np.random.Generator) -> list[Part]:
    """Striking: a black face under a cap of white wool."""
    tail = polygon((0.05, -0.15), (-0.08, -0.12), (-0.08, 0.06), (0.08, 0.05))
    parts, x, y = four_legged(rng, thickness=0.38, tail=tail)
    parts += [mark(ellipse(x + side * 0.24, y, 0.12, 0.06), DARK) for side in (-1, 1)]
    parts.append(mark(ellipse(x, y + 0.04, 0.19, 0.27), DARK))
    for dx, dy in ((-0.14, -0.18), (0.0, -0.25), (0.14, -0.18), (0.0, -0.13)):
        parts.append(mark(ellipse(x + dx, y + dy, 0.12, 0.11), WHITE))
    return parts + eyes(x, y + 0.02, 0.08, 0.05)


def horse(rng: np.random.Generator) -> list[Part]:
    """Striking: a long brown head with a yellow mane."""
    tail = polygon((0.06, -0.20), (-0.12, -0.15), (-0.22, 0.45), (-0.06, 0.40), (0.08, 0.00))
    parts, x, y = four_legged(rng, thickness=0.25, tail=tail)
    y -= 0.10
    return [
        *parts,
        mark(polygon((x - 0.34, y + 0.40), (x - 0.30, y - 0.10), (x - 0.06, y - 0.38), (x + 0.02, y - 0.14)), YELLOW),
        mark(
            polygon(
                (x - 0.16, y + 0.34),
                (x - 0.12, y - 0.18),
                (x + 0.06, y - 0.24),
                (x + 0.38, y + 0.12),
                (x + 0.26, y + 0.24),
            ),
            BROWN,
        ),
        mark(polygon((x - 0.06, y - 0.20), (x + 0.00, y - 0.42), (x + 0.08, y - 0.20)), BROWN),
        mark(ellipse(x + 0.06, y - 0.04, 0.05, 0.05, corners=10), WHITE),
        mark(ellipse(x + 0.28, y + 0.12, 0.04, 0.04, corners=8), DARK),
    ]


def pig(rng: np.random.Generator) -> list[Part]:
    """Striking: a pink face with a large snout."""
    tail = polygon((0.05, -0.10), (-0.10, -0.25), (-0.18, -0.10), (-0.10, -0.14), (0.05, 0.00))
    parts, x, y = four_legged(rng, thickness=0.36, tail=tail)
    for side in (-1, 1):
        parts.append(
            mark(
                polygon((x + side * 0.24, y - 0.30), (x + side * 0.06, y - 0.20), (x + side * 0.22, y - 0.04)),
                hsv(0.95, 0.5, 0.8),
            )
        )
    parts += [mark(ellipse(x, y, 0.25, 0.24), PINK), mark(ellipse(x, y + 0.08, 0.13, 0.10), hsv(0.95, 0.55, 0.85))]
    parts += [mark(ellipse(x + side * 0.05, y + 0.08, 0.03, 0.05, corners=8), DARK) for side in (-1, 1)]
    return parts + eyes(x, y - 0.10, 0.11, 0.045)


def duck(rng: np.random.Generator) -> list[Part]:
    """Striking: a green head with a white collar and an orange bill."""
    x, y = 0.50 + rng.normal(0, 0.03), -0.38 + rng.normal(0, 0.03)
    return [
        shaded(polygon((-0.50, 0.05), (-0.98, -0.22), (-0.90, 0.20), (-0.50, 0.30))),
        body(ellipse(-0.05, 0.16, 0.64 + rng.normal(0, 0.04), 0.34)),
        shaded(ellipse(-0.14, 0.10, 0.40, 0.20)),
        mark(rounded_box(x - 0.14, y, x + 0.12, y + 0.42, 0.06), WHITE),
        mark(ellipse(x, y, 0.23, 0.22), hsv(0.42, 0.85, 0.45)),
        mark(
            polygon((x + 0.16, y - 0.04), (x + 0.50, y + 0.02), (x + 0.48, y + 0.12), (x + 0.14, y + 0.12)),
            hsv(0.08, 0.9, 0.98),
        ),
        mark(ellipse(x + 0.06, y - 0.06, 0.05, 0.05, corners=10), YELLOW),
    ]


def fish(rng: np.random.Generator) -> list[Part]:
    """Striking: an orange head with two white bars."""
    x = 0.46 + rng.normal(0, 0.03)
    orange = hsv(0.05, 0.9, 0.95)
    return [
        shaded(polygon((-0.50, 0.00), (-0.98, -0.36), (-0.86, 0.00), (-0.98, 0.36))),
        shaded(polygon((-0.30, -0.24), (0.10, -0.62 + rng.normal(0, 0.04)), (0.30, -0.24))),
        body(ellipse(-0.05, 0.0, 0.66, 0.38 + rng.normal(0, 0.03))),
        mark(ellipse(x, 0.0, 0.30, 0.31), orange),
        mark(box(x - 0.20, -0.26, x - 0.10, 0.26), WHITE),
        mark(box(x + 0.00, -0.28, x + 0.08, 0.28), WHITE),
        mark(ellipse(x + 0.16, -0.07, 0.07, 0.07, corners=10), DARK),
    ]


def turtle(rng: np.random.Generator) -> list[Part]:
    """Striking: a bright green head with large eyes."""
    x, y = 0.76 + rng.normal(0, 0.03), -0.06 + rng.normal(0, 0.03)
    lime = hsv(0.28, 0.85, 0.75)
    return [
        *(shaded(ellipse(leg, 0.40, 0.14, 0.20)) for leg in (-0.46, 0.36)),
        shaded(polygon((-0.60, 0.20), (-0.96, 0.34), (-0.58, 0.36))),
        body(ellipse(0.0, 0.30, 0.74, 0.72 + rng.normal(0, 0.04), start=0.5, end=1.0)),
        mark(polygon((x - 0.26, 0.28), (x - 0.14, y), (x + 0.10, y), (x, 0.30)), lime),
        mark(ellipse(x, y - 0.05, 0.22, 0.18), lime),
        mark(box(x - 0.02, y + 0.02, x + 0.20, y + 0.06), RED),
        *eyes(x + 0.02, y - 0.14, 0.09, 0.07),
    ]


def snail(rng: np.random.Generator) -> list[Part]:
    """Striking: a yellow neck with two horns that end in blue balls."""
    x = 0.62 + rng.normal(0, 0.03)
    parts = [
        shaded(polygon((-0.92, 0.52), (-0.60, 0.36), (0.60, 0.36), (0.74, 0.52))),
        body(ellipse(-0.10, -0.05, 0.56, 0.52 + rng.normal(0, 0.03))),
        shaded(ellipse(-0.10, -0.02, 0.28, 0.26)),
        mark(rounded_box(x - 0.14, -0.16, x + 0.14, 0.52, 0.12), YELLOW),
    ]
    for side in (-1, 1):
        tip = x + side * 0.18
        parts += [
            mark(polygon((x - 0.03, -0.10), (x + 0.03, -0.10), (tip + 0.02, -0.46), (tip - 0.02, -0.46)), YELLOW),
            mark(ellipse(tip, -0.46, 0.08, 0.08, corners=10), BLUE),
        ]
    return parts


def butterfly(rng: np.random.Generator) -> list[Part]:
    """Striking: a body with black and yellow rings between the wings."""
    lift = rng.normal(0, 0.05)
    parts = []
    for side in (-1, 1):
        parts += [
            body(polygon((0, -0.05), (side * 0.45, -0.75 + lift), (side * 0.92, -0.60 + lift), (side * 0.74, -0.02))),
            shaded(polygon((0, 0.00), (side * 0.70, 0.04), (side * 0.62, 0.58 - lift), (side * 0.25, 0.60))),
        ]
    parts.append(mark(ellipse(0, -0.42, 0.13, 0.12), DARK))
    colours = (YELLOW, DARK, YELLOW, DARK, YELLOW)
    return parts + [mark(ellipse(0, -0.26 + 0.15 * ring, 0.14, 0.11), colour) for ring, colour in enumerate(colours)]


def balloon(rng: np.random.Generator) -> list[Part]:
    """Striking: a brown basket with a red and white cloth."""
    x = rng.normal(0, 0.03)
    return [
        body(ellipse(0, -0.28, 0.62 + rng.normal(0, 0.03), 0.66)),
        shaded(polygon((-0.42, 0.16), (0.42, 0.16), (0.14, 0.48), (-0.14, 0.48))),
        mark(box(x - 0.20, 0.50, x + 0.20, 0.84), BROWN),
        mark(box(x - 0.24, 0.48, x + 0.24, 0.60), WHITE),
        *(mark(box(x + left, 0.48, x + left + 0.08, 0.60), RED) for left in (-0.24, -0.04, 0.16)),
    ]


def plane(rng: np.random.Generator) -> list[Part]:
    """Striking: a blue tail fin with a yellow disc."""
    x = -0.66 + rng.normal(0, 0.03)
    return [
        mark(polygon((x - 0.20, -0.62), (x + 0.06, -0.62), (x + 0.34, -0.04), (x - 0.10, -0.04)), BLUE),
        mark(ellipse(x + 0.02, -0.36, 0.12, 0.12), YELLOW),
        body(rounded_box(-0.92, -0.16, 0.94, 0.18, 0.16)),
        shaded(polygon((-0.10, 0.04), (0.28, 0.04), (-0.16, 0.60 + rng.normal(0, 0.04)), (-0.40, 0.60))),
        plain(polygon((0.62, -0.14), (0.76, -0.14), (0.86, -0.01), (0.62, -0.01)), GLASS),
    ]


def rocket(rng: np.random.Generator) -> list[Part]:
    """Striking: a red tip with a round blue window."""
    return [
        *(
            shaded(polygon((side * 0.22, 0.20), (side * 0.58, 0.66 + rng.normal(0, 0.03)), (side * 0.22, 0.56)))
            for side in (-1, 1)
        ),
        body(rounded_box(-0.30, -0.50, 0.30, 0.62, 0.10)),
        mark(polygon((-0.30, -0.40), (-0.18, -0.74), (0.00, -0.98), (0.18, -0.74), (0.30, -0.40)), RED),
        mark(ellipse(0, -0.50, 0.16, 0.16), WHITE),
        mark(ellipse(0, -0.50, 0.11, 0.11), BLUE),
    ]


def submarine(rng: np.random.Generator) -> list[Part]:
    """Striking: a yellow tower with a bent periscope."""
    x = 0.05 + rng.normal(0, 0.05)
    return [
        shaded(polygon((-0.70, 0.14), (-0.98, -0.14), (-0.98, 0.42))),
        body(ellipse(0, 0.16, 0.88, 0.34 + rng.normal(0, 0.03))),
        *(plain(ellipse(port, 0.16, 0.09, 0.09, corners=12), GLASS) for port in (-0.30, 0.02, 0.34)),
        mark(box(x + 0.06, -0.72, x + 0.12, -0.40), DARK),
        mark(box(x + 0.06, -0.72, x + 0.30, -0.62), DARK),
        mark(polygon((x - 0.18, -0.44), (x + 0.20, -0.44), (x + 0.26, -0.12), (x - 0.24, -0.12)), YELLOW),
        mark(box(x - 0.14, -0.34, x + 0.16, -0.26), DARK),
    ]


def galley(rng: np.random.Generator) -> list[Part]:
    """Striking: a dragon's head, green with a yellow comb, on the bow."""
    x = 0.78 + rng.normal(0, 0.03)
    return [
        *hull(rng),
        plain(box(-0.08, -0.80, -0.02, 0.12), BROWN),
        body(box(-0.44, -0.72, 0.34, -0.14 + rng.normal(0, 0.04))),
        mark(polygon((x - 0.18, 0.14), (x - 0.16, -0.52), (x - 0.02, -0.52), (x + 0.08, 0.14)), YELLOW),
        mark(
            polygon(
                (x - 0.08, 0.16),
                (x - 0.10, -0.50),
                (x + 0.34, -0.36),
                (x + 0.34, -0.20),
                (x + 0.10, -0.22),
                (x + 0.16, 0.12),
            ),
            GREEN,
        ),
        mark(ellipse(x + 0.06, -0.37, 0.05, 0.05, corners=10), RED),
    ]


def tractor(rng: np.random.Generator) -> list[Part]:
    """Striking: a large rear wheel with a yellow rim."""
    x = -0.46 + rng.normal(0, 0.03)
    return [
        shaded(polygon((-0.64, -0.66), (0.02, -0.66), (0.10, 0.00), (-0.70, 0.00))),
        plain(box(-0.50, -0.56, -0.06, -0.20), GLASS),
        body(rounded_box(-0.70, -0.14, 0.86, 0.36, 0.08)),
        plain(box(0.50, -0.50, 0.58, -0.12), DARK),
        *wheels(0.60),
        mark(ellipse(x, 0.30, 0.36, 0.36), DARK),
        mark(ellipse(x, 0.30, 0.21, 0.21), YELLOW),
        mark(ellipse(x, 0.30, 0.08, 0.08, corners=12), RED),
    ]


def truck(rng: np.random.Generator) -> list[Part]:
    """Striking: a red cab with a white stripe."""
    x = 0.60 + rng.normal(0, 0.03)
    return [
        body(rounded_box(-0.94, -0.60 + rng.normal(0, 0.04), 0.34, 0.38, 0.06)),
        *wheels(-0.58, 0.02, 0.62),
        mark(polygon((x - 0.22, -0.32), (x + 0.10, -0.32), (x + 0.30, -0.02), (x + 0.30, 0.30), (x - 0.22, 0.30)), RED),
        mark(polygon((x - 0.12, -0.24), (x + 0.06, -0.24), (x + 0.20, -0.02), (x - 0.12, -0.02)), hsv(0.55, 0.2, 0.95)),
        mark(box(x - 0.22, 0.06, x + 0.30, 0.14), WHITE),
    ]


def ambulance(rng: np.random.Generator) -> list[Part]:
    """Striking: a white field with a red cross."""
    x = -0.30 + rng.normal(0, 0.06)
    return [
        body(polygon((-0.92, -0.58), (0.42, -0.58), (0.66, -0.14), (0.92, -0.06), (0.92, 0.38), (-0.92, 0.38))),
        plain(polygon((0.24, -0.46), (0.40, -0.46), (0.54, -0.16), (0.24, -0.16)), GLASS),
        *wheels(-0.52, 0.54),
        mark(box(x - 0.26, -0.46, x + 0.26, 0.06), WHITE),
        mark(box(x - 0.07, -0.40, x + 0.07, 0.00), RED),
        mark(box(x - 0.20, -0.27, x + 0.20, -0.13), RED),
    ]


def locomotive(rng: np.random.Generator) -> list[Part]:
    """Striking: a black chimney with a golden crown."""
    x = 0.52 + rng.normal(0, 0.04)
    return [
        shaded(box(-0.90, -0.60 + rng.normal(0, 0.04), -0.30, 0.30)),
        plain(box(-0.76, -0.46, -0.44, -0.16), GLASS),
        body(rounded_box(-0.40, -0.20, 0.84, 0.30, 0.12)),
        *wheels(-0.62, -0.16, 0.30, 0.68),
        mark(polygon((x - 0.12, -0.20), (x - 0.16, -0.66), (x + 0.16, -0.66), (x + 0.12, -0.20)), DARK),
        mark(polygon((x - 0.22, -0.62), (x - 0.26, -0.84), (x + 0.26, -0.84), (x + 0.22, -0.62)), YELLOW),
        mark(box(x - 0.13, -0.40, x + 0.13, -0.32), YELLOW),
    ]


def lighthouse(rng: np.random.Generator) -> list[Part]:
    """Striking: a bright lamp under a blue cap."""
    foot = 0.36 + rng.normal(0, 0.03)
    return [
        body(polygon((-0.22, -0.44), (0.22, -0.44), (foot, 0.80), (-foot, 0.80))),
        shaded(box(-0.09, 0.50, 0.09, 0.80)),
        mark(box(-0.28, -0.50, 0.28, -0.42), DARK),
        mark(box(-0.18, -0.74, 0.18, -0.50), YELLOW),
        mark(ellipse(0, -0.62, 0.08, 0.10, corners=12), WHITE),
        mark(polygon((-0.26, -0.72), (0.26, -0.72), (0.00, -0.96)), BLUE),
    ]


def windmill(rng: np.random.Generator) -> list[Part]:
    """Striking: four white and red sails round a hub."""
    turn = rng.uniform(0, np.pi / 2)
    parts = [body(polygon((-0.26, -0.34), (0.26, -0.34), (0.44, 0.80), (-0.44, 0.80)))]
    parts.append(shaded(ellipse(0, -0.34, 0.28, 0.26)))
    for quarter in range(4):
        angle = turn + quarter * np.pi / 2
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        corners = [(0.0, -0.03), (0.50, -0.03), (0.50, 0.14), (0.14, 0.14)]
        sail = np.array([u * along + v * across + [0, -0.36] for u, v in corners])
        parts.append(mark(sail, WHITE if quarter % 2 else RED))
    return [*parts, mark(ellipse(0, -0.36, 0.08, 0.08, corners=12), DARK)]


def house(rng: np.random.Generator) -> list[Part]:
    """Striking: a blue door in a white frame with a golden knob."""
    x = rng.uniform(-0.30, 0.30)
    return [
        shaded(polygon((-0.90, -0.16), (0.00, -0.84 + rng.normal(0, 0.04)), (0.90, -0.16))),
        body(box(-0.76, -0.16, 0.76, 0.66)),
        mark(rounded_box(x - 0.24, -0.06, x + 0.24, 0.66, 0.06), WHITE),
        mark(rounded_box(x - 0.16, 0.02, x + 0.16, 0.66, 0.04), BLUE),
        mark(ellipse(x + 0.08, 0.34, 0.05, 0.05, corners=10), YELLOW),
    ]


def tree(rng: np.random.Generator) -> list[Part]:
    """Striking: a bunch of red apples."""
    x, y = rng.uniform(-0.25, 0.25), -0.30 + rng.normal(0, 0.06)
    parts = [shaded(polygon((-0.12, 0.10), (0.12, 0.10), (0.18, 0.84), (-0.18, 0.84)))]
    for dx, dy in ((-0.34, -0.14), (0.34, -0.14), (0.0, -0.46), (0.0, -0.06)):
        parts.append(body(ellipse(dx, dy, 0.42, 0.38)))
    for dx, dy in ((-0.15, -0.06), (0.15, -0.06), (0.0, 0.16)):
        parts += [
            mark(ellipse(x + dx, y + dy, 0.14, 0.14), RED),
            mark(
                polygon((x + dx, y + dy - 0.12), (x + dx + 0.12, y + dy - 0.24), (x + dx + 0.10, y + dy - 0.10)), GREEN
            ),
        ]
    return parts


def mushroom(rng: np.random.Generator) -> list[Part]:
    """Striking: a pale stalk with a lilac ring."""
    x = rng.normal(0, 0.04)
    return [
        mark(polygon((x - 0.16, -0.10), (x + 0.16, -0.10), (x + 0.24, 0.70), (x - 0.24, 0.70)), hsv(0.13, 0.2, 0.95)),
        mark(polygon((x - 0.20, 0.08), (x + 0.20, 0.08), (x + 0.28, 0.26), (x - 0.28, 0.26)), hsv(0.77, 0.55, 0.8)),
        body(ellipse(0, 0.06, 0.80, 0.76 + rng.normal(0, 0.04), start=0.5, end=1.0)),
    ]


OTHER_KINDS: tuple[Kind, ...] = (
    Kind(name="dog", parts=dog, home="meadow", hue=0.11, texture="mottled"),
    Kind(name="sheep", parts=sheep, home="meadow", hue=0.14, texture="mottled"),
    Kind(name="horse", parts=horse, home="meadow", hue=0.03, texture="blotched"),
    Kind(name="pig", parts=pig, home="meadow", hue=0.95, texture="dotted"),
    Kind(name="duck", parts=duck, home="sea", hue=0.08, texture="blotched"),
    Kind(name="fish", parts=fish, home="sea", hue=0.50, texture="striped"),
    Kind(name="turtle", parts=turtle, home="sand", hue=0.30, texture="blotched"),
    Kind(name="snail", parts=snail, home="sand", hue=0.07, texture="striped"),
    Kind(name="butterfly", parts=butterfly, home="sky", hue=0.80, texture="dotted", flies=True),
    Kind(name="balloon", parts=balloon, home="sky", hue=0.00, texture="striped", flies=True),
    Kind(name="plane", parts=plane, home="sky", hue=0.60, texture="mottled", flies=True),
    Kind(name="rocket", parts=rocket, home="sky", hue=0.65, texture="striped", flies=True),
    Kind(name="submarine", parts=submarine, home="sea", hue=0.45, texture="dotted", grows_upwards=True),
    Kind(name="galley", parts=galley, home="sea", hue=0.06, texture="striped"),
    Kind(name="tractor", parts=tractor, home="meadow", hue=0.33, texture="mottled"),
    Kind(name="truck", parts=truck, home="road", hue=0.55, texture="striped"),
    Kind(name="ambulance", parts=ambulance, home="road", hue=0.15, texture="dotted"),
    Kind(name="locomotive", parts=locomotive, home="road", hue=0.40, texture="mottled", grows_upwards=True),
    Kind(name="lighthouse", parts=lighthouse, home="sand", hue=0.02, texture="striped", grows_upwards=True),
    Kind(name="windmill", parts=windmill, home="meadow", hue=0.12, texture="dotted"),
    Kind(name="house", parts=house, home="sand", hue=0.05, texture="dotted", grows_upwards=True),
    Kind(name="tree", parts=tree, home="meadow", hue=0.30, texture="blotched"),
    Kind(name="mushroom", parts=mushroom, home="meadow", hue=0.98, texture="dotted"),
)
"""What the demo's trunk is pre-trained on."""
