"""The losses of IRN pair by pair, from the equations (REFERENCE 5.5); in torch, for the sake of their gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from reference.random_walk_oracle import straight_path

Cell = tuple[int, int]


def near_pairs(height: int, width: int, radius: int) -> Iterator[tuple[Cell, Cell]]:
    """Source and destination of every pair: the destination is to the right or below, nearer than the radius."""
    margin = radius - 1
    for y in range(height - margin):
        for x in range(margin, width - margin):
            for v in range(y, height):
                for u in range(width):
                    ahead = v > y or u > x
                    if ahead and math.dist((y, x), (v, u)) < radius:
                        yield (y, x), (v, u)


def irn_losses(
    edge: Tensor, displacement: Tensor, labels: Tensor, radius: int, ignored: int = 255
) -> dict[str, Tensor]:
    """(B, h, w) edge probabilities, (B, 2, h, w) displacements and (B, h, w) labels to the four losses."""
    kinds: dict[str, list[Tensor]] = {"bg": [], "fg": [], "neg": [], "bg_shift": [], "fg_shift": []}
    for image in range(len(edge)):
        for source, destination in near_pairs(edge.shape[1], edge.shape[2], radius):
            a, b = int(labels[image][source]), int(labels[image][destination])
            if ignored in (a, b):
                continue
            strongest = torch.stack([edge[image][cell] for cell in straight_path(source, destination)]).max()
            affinity = 1 - strongest
            if a != b:
                kinds["neg"].append(-torch.log(1 + 1e-5 - affinity))
                continue
            kind = "bg" if a == 0 else "fg"
            kinds[kind].append(-torch.log(affinity + 1e-5))
            for axis in (0, 1):
                shift = displacement[image, axis][source] - displacement[image, axis][destination]
                offset = destination[axis] - source[axis] if kind == "fg" else 0
                kinds[f"{kind}_shift"].append((shift - offset).abs())
    means = {name: torch.stack(terms).mean() if terms else edge.new_zeros(()) for name, terms in kinds.items()}
    return {
        "positive": (means["bg"] + means["fg"]) / 2,
        "negative": means["neg"],
        "foreground_displacement": means["fg_shift"],
        "background_displacement": means["bg_shift"],
    }
