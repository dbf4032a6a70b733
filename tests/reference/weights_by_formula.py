"""Weights made from the names of tensors, so that any implementation can make the same network."""

from __future__ import annotations

import ast
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def tensor_of(name: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor called `name`: normal numbers seeded by the name, scaled by what the name says it is."""
    normal = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if name.endswith("running_var"):
        normal = 0.5 + 0.5 * np.abs(normal)
    elif name.endswith(("running_mean", "bias")):
        normal = 0.1 * normal
    elif len(shape) == 1:
        normal = 1 + 0.1 * normal
    else:
        normal = normal * np.float32(math.sqrt(1.6 / math.prod(shape[1:])))
    return torch.from_numpy(normal)


def state_of(vectors: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """All tensors that a file of reference vectors lists under `names` and `shapes`."""
    return {
        str(name): tensor_of(str(name), ast.literal_eval(str(shape)))
        for name, shape in zip(vectors["names"], vectors["shapes"], strict=True)
    }
