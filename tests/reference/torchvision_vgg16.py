"""A file of the layout of torchvision's vgg16 that takes no room: each tensor is one number, seen many times."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

WIDTHS = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256),
          17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}  # fmt: skip
CLASSIFIER = {0: (25088, 4096), 3: (4096, 4096), 6: (4096, 1000)}


def layout() -> dict[str, tuple[int, ...]]:
    """Names and shapes of torchvision's vgg16."""
    shapes: dict[str, tuple[int, ...]] = {}
    for place, (width_in, width_out) in WIDTHS.items():
        shapes[f"features.{place}.weight"] = (width_out, width_in, 3, 3)
        shapes[f"features.{place}.bias"] = (width_out,)
    for place, (width_in, width_out) in CLASSIFIER.items():
        shapes[f"classifier.{place}.weight"] = (width_out, width_in)
        shapes[f"classifier.{place}.bias"] = (width_out,)
    return shapes


def write_file(
    path: Path, *, prefix: str = "", change: Mapping[str, tuple[int, ...] | None] | None = None
) -> dict[str, float]:
    """Write the file with other shapes where `change` says so, None for no such tensor; return each tensor's number."""
    shapes = {name: shape for name, shape in (layout() | dict(change or {})).items() if shape is not None}
    values = {name: (place + 1) / 64 for place, name in enumerate(shapes)}
    torch.save({f"{prefix}{name}": torch.tensor(values[name]).expand(shape) for name, shape in shapes.items()}, path)
    return values
