"""What a network says of several views of an image: rescaled and mirrored, merged on its grid or as probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ktse.ops.resize import resize_to
from ktse.types import SegmenterOutput


def view_grids(
    network: nn.Module, images: Tensor, *, scales: Sequence[float], mirror: bool, merge: Literal["max", "mean"]
) -> list[Tensor]:
    """Return the scores of all views on the network's grid (REFERENCE 6.5).

    Args:
        network: From normalised images to a `SegmenterOutput`.
        images: (N, 3, H, W) normalised.
        scales: Sizes of the views, to the images; they are rescaled bilinearly.
        mirror: See the mirror image of each view too; its scores are mirrored back.
        merge: `max`: every view is resized to the grid of the one whose scale is nearest to 1, and of each label the
            largest score is kept, as published. `mean`: views stay apart, for `probabilities_of` to average.

    Returns:
        Scores before the softmax, (N, L, h, w) each: one for `max`, one for each view for `mean`.

    Example:
        >>> from ktse.nets.deeplab import build_deeplab
        >>> network = build_deeplab("demo", num_labels=4, output_stride=4, dilations=(1,)).eval()
        >>> views = {"scales": (0.5, 1.0), "mirror": True}
        >>> [tuple(grid.shape) for grid in view_grids(network, torch.zeros(1, 3, 32, 40), **views, merge="mean")]
        [(1, 4, 8, 10), (1, 4, 8, 10), (1, 4, 4, 5), (1, 4, 4, 5)]
        >>> [tuple(grid.shape) for grid in view_grids(network, torch.zeros(1, 3, 32, 40), **views, merge="max")]
        [(1, 4, 8, 10)]
    """
    grids: list[Tensor] = []
    for scale in sorted(scales, key=lambda scale: abs(math.log(scale))):
        view = resize_to(images, (scaled(images.shape[-2], scale), scaled(images.shape[-1], scale)))
        for mirrored in (False, True) if mirror else (False,):
            grid = _grid(network, view.flip(-1)).flip(-1) if mirrored else _grid(network, view)
            if merge == "max" and grids:
                grids = [grids[0].maximum(resize_to(grid, (grids[0].shape[-2], grids[0].shape[-1])))]
            else:
                grids.append(grid)
    return grids


def probabilities_of(grids: Sequence[Tensor], size: tuple[int, int], rows: slice, columns: slice) -> Tensor:
    """Return the probabilities of a part of an image: the mean over the grids of their softmax at its size.

    Args:
        grids: Scores (N, L, ·, ·) of the whole image.
        size: (H, W) of the image.
        rows: Which rows of it.
        columns: Which columns of it.

    Returns:
        (N, L, h, w) float32 of the part; they sum to 1 over the labels.
    """
    total = resized_window(grids[0], size, rows, columns).softmax(1)
    for grid in grids[1:]:
        total += resized_window(grid, size, rows, columns).softmax(1)
    return total / len(grids)


def resized_window(maps: Tensor, size: tuple[int, int], rows: slice, columns: slice) -> Tensor:
    """Return a part of maps that are resized bilinearly, without making the rest of them.

    Args:
        maps: (N, C, ·, ·) floating point.
        size: (H, W) that the maps are resized to.
        rows: Which of the H rows.
        columns: Which of the W columns.

    Returns:
        (N, C, h, w).

    Example:
        >>> maps = torch.tensor([[[[0.0, 1.0]]]])
        >>> resized_window(maps, (1, 4), slice(0, 1), slice(1, 3))
        tensor([[[[0.2500, 0.7500]]]])
    """
    if rows == slice(0, size[0]) and columns == slice(0, size[1]):
        return resize_to(maps, size)
    down = _interpolation(maps, -2, size[0])[rows]  # (h, ·)
    across = _interpolation(maps, -1, size[1])[columns]  # (w, ·)
    return down @ maps @ across.T


def scaled(length: int, scale: float) -> int:
    """Return the length of a view, at least 1 px."""
    return max(1, round(length * scale))


def _grid(network: nn.Module, view: Tensor) -> Tensor:
    output: SegmenterOutput = network(view)
    return output.pre_logits.float()


def _interpolation(maps: Tensor, axis: int, length: int) -> Tensor:
    """Return the matrix (length, ·) of the linear interpolation along an axis: what it makes of unit vectors."""
    cells = maps.shape[axis]
    return resize_to(torch.eye(cells, dtype=maps.dtype, device=maps.device)[None, None], (length, cells))[0, 0]
