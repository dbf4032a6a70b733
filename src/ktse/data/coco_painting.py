"""COCO's outlines painted into a label map."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ktse.errors import DataError


def paint(
    objects: Iterable[tuple[int, Any]], size: tuple[int, int], *, dtype: DTypeLike = np.uint8
) -> NDArray[np.integer[Any]]:
    """Paint objects one over the other onto background.

    Args:
        objects: Label and outline of each object, first painted first; an outline is a list of polygons
            `[x1, y1, x2, y2, ...]` in pixels, or a run-length code as COCO writes it.
        size: (H, W) of the image.
        dtype: Integer type of the result.

    Returns:
        (H, W) label map.

    Raises:
        DataError: An outline is damaged or far larger than the image.

    Example:
        >>> paint([(3, [[0, 0, 2, 0, 2, 1, 0, 1]])], (2, 3)).tolist()
        [[3, 3, 0], [0, 0, 0]]
    """
    mask = np.zeros(size, dtype=dtype)
    for label, outline in objects:
        mask[_region(outline, size)] = label
    return mask


def _region(outline: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return (H, W) bool, the pixels inside an outline."""
    from pycocotools import mask as coco_mask

    _check(outline, size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools lags behind numpy
            if isinstance(outline, list):
                code = coco_mask.merge(coco_mask.frPyObjects(outline, *size))
            elif isinstance(outline["counts"], list):
                code = coco_mask.frPyObjects(outline, *size)
            else:
                code = outline
            region: NDArray[np.bool_] = coco_mask.decode(code).astype(np.bool_)
    except Exception as error:  # pycocotools raises plain Exception
        raise DataError(f"an outline is damaged ({error}).", remedy="Unpack the annotations anew.") from None
    return region


def _check(outline: Any, size: tuple[int, int]) -> None:
    """Refuse what would make pycocotools allocate without bound: it trusts coordinates and run lengths."""
    try:
        if isinstance(outline, list):
            points = np.concatenate([np.asarray(polygon, dtype=np.float64) for polygon in outline])
            sound = bool((np.abs(points) <= 2 * max(size)).all())
        else:
            counts = outline["counts"]
            sound = tuple(outline["size"]) == size
            if isinstance(counts, list):
                sound = sound and min(counts) >= 0 and sum(counts) == size[0] * size[1]
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise DataError(
            f"an outline does not belong to an image of {size[0]} x {size[1]} pixels.",
            remedy="Unpack the annotations anew.",
        )
