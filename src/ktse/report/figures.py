"""Pictures of what a run has found: class activation and masks drawn over their image."""

from __future__ import annotations

import base64
import colorsys
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ktse.types import IGNORE_INDEX

Picture = NDArray[np.uint8]

MASK_OPACITY = 0.62
"""How strongly a mask covers its image."""

HEAT_OPACITY = 0.85
"""How strongly a score of 1 covers its image; a score of 0 does not."""

BACKGROUND_GREY = 0.35
"""Share of white mixed into the grey image where no class is, so that the classes stand out."""

STRIPE_PERIOD = 8
"""Pixels from one stripe to the next where a mask says that no pixel counts."""

JPEG_QUALITY = 85
"""Quality at which no block shows in a panel."""

_GOLDEN_ANGLE = 0.381966
"""Share of the colour circle from one class to the next: neighbours differ, and no two of the first hundred meet."""

_LIGHTNESSES = (0.35, 0.5, 0.65)
"""Taken in turn: of these and the angle, the first twenty colours differ by 93 of 765 at least."""


def class_colours(num_classes: int) -> Picture:
    """Return a colour for each class, clearer to the eye over a photograph than the palette of VOC.

    Args:
        num_classes: K. Up to ten classes have the ten colours of matplotlib's `tab10`.

    Returns:
        (K, 3) uint8.

    Example:
        >>> class_colours(3).tolist()
        [[31, 119, 180], [255, 127, 14], [44, 160, 44]]
    """
    from matplotlib import colormaps

    ten = colormaps["tab10"](np.arange(10))[:, :3]
    if num_classes > len(ten):
        circle = [
            colorsys.hls_to_rgb((index * _GOLDEN_ANGLE) % 1, _LIGHTNESSES[index % len(_LIGHTNESSES)], 0.75)
            for index in range(num_classes)
        ]
        return (np.array(circle) * 255).round().astype(np.uint8)
    colours: Picture = (ten[:num_classes] * 255).round().astype(np.uint8)
    return colours


def mask_overlay(
    image: Picture, mask: NDArray[np.integer[Any]], colours: Picture, *, ignore_index: int = IGNORE_INDEX
) -> Picture:
    """Draw a label map over its image: classes in colour, background grey, ignored pixels striped, outlines white.

    Args:
        image: (H, W, 3).
        mask: (H, W) label map, 0 background.
        colours: (K, 3), of labels 1 .. K.
        ignore_index: Label of pixels that do not count.

    Returns:
        (H, W, 3).

    Example:
        >>> drawn = mask_overlay(np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), int), class_colours(1))
        >>> drawn[0, 0].tolist()  # 62 % of (31, 119, 180)
        [19, 74, 112]
    """
    ignored = mask == ignore_index
    labels = np.where(ignored, 0, mask)
    foreground = (labels > 0)[..., None]
    painted = np.concatenate([np.zeros((1, 3)), colours])[labels]
    grey = image.mean(-1, keepdims=True) * (1 - BACKGROUND_GREY) + 255 * BACKGROUND_GREY
    drawn = np.where(foreground, image * (1 - MASK_OPACITY) + painted * MASK_OPACITY, grey)
    rows, columns = np.indices(mask.shape)
    stripes = ignored & ((rows + columns) % STRIPE_PERIOD < STRIPE_PERIOD // 2)
    drawn = np.where(stripes[..., None], 255.0, drawn)
    drawn = np.where(_outline(labels)[..., None], 255.0, drawn)
    return drawn.round().astype(np.uint8)


def heat_overlay(image: Picture, scores: NDArray[np.floating[Any]]) -> Picture:
    """Draw scores over their image, from the grey image (0) through red to yellow (1).

    Args:
        image: (H, W, 3).
        scores: (H, W) in [0, 1].

    Returns:
        (H, W, 3).
    """
    from matplotlib import colormaps

    scores = np.clip(scores.astype(np.float64), 0, 1)
    heat = colormaps["inferno"](scores)[..., :3] * 255
    opacity = (HEAT_OPACITY * np.sqrt(scores))[..., None]
    grey = np.repeat(image.mean(-1, keepdims=True), 3, axis=-1)
    drawn: Picture = (grey * (1 - opacity) + heat * opacity).round().astype(np.uint8)
    return drawn


def fit_image(image: Picture, side: int) -> Picture:
    """Resize an image so that its longer side is `side` pixels."""
    factor = side / max(image.shape[:2])
    width, height = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def fit_scores(scores: NDArray[np.floating[Any]], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize scores on any grid to (H, W) pixels."""
    picture = Image.fromarray(np.ascontiguousarray(scores, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def jpeg_uri(picture: Picture) -> str:
    """Return a picture as a data URI that a page can hold.

    Example:
        >>> jpeg_uri(np.zeros((2, 2, 3), np.uint8))[:30]
        'data:image/jpeg;base64,/9j/4AA'
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _outline(labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Return the pixels whose right or lower neighbour has another label."""
    edge = np.zeros(labels.shape, np.bool_)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge
