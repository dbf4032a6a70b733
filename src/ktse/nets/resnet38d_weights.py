"""Weights for ResNet38d: the published ImageNet file, and checkpoints under the released localizer's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ktse.nets.known_weights import find_weights
from ktse.nets.resnet38d import ResNet38d
from ktse.nets.strict_loading import load_strictly, without, without_prefix
from ktse.nets.weight_files import read_weights

HEADS = ("fc8.", "bn8.", "fc9.", "gconv1.", "gconv2.", "gconv3.", "fc.")
"""Parts of published checkpoints that are no part of the trunk."""

CLASSIFIER = "linear1000_"
"""The part of the ImageNet file that is no part of the trunk."""

STATISTICS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}
"""MXNet's words for the tensors of batch normalisation."""


def load_resnet38d(trunk: ResNet38d, weights: str | Path) -> None:
    """Load a file into the trunk: MXNet's `.params`, or a checkpoint with the names of the released localizer.

    Raises:
        WeightsError: The file is missing, damaged or of another network.
    """
    path = find_weights(weights)
    state = read_weights(path)
    if path.suffix == ".params":
        load_imagenet_resnet38d(trunk, {name: tensor.numpy() for name, tensor in state.items()})
    else:
        load_strictly(trunk, without(without_prefix(state, "module."), HEADS), source=f"the file '{path}'")


def load_imagenet_resnet38d(trunk: ResNet38d, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Load the arrays of the published ImageNet file (`read_mxnet_params`), its classifier left out.

    Raises:
        WeightsError: Arrays are missing or unknown, or shapes differ; a few of each are named.
    """
    named = {name.removeprefix("arg:").removeprefix("aux:"): array for name, array in arrays.items()}
    state = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in named.items()}
    source = "the ImageNet file of resnet38d"
    load_strictly(trunk, without(state, [CLASSIFIER]), source=source, foreign_name=imagenet_name)


def imagenet_name(name: str) -> str:
    """Translate a name of the trunk to that of the published ImageNet file, without its `arg:` or `aux:`.

    Example:
        >>> imagenet_name("b4_3.conv_branch2b1.weight"), imagenet_name("b4.bn_branch2a.running_var")
        ('res4b3_branch2b1_weight', 'bn4a_branch2a_moving_var')
        >>> imagenet_name("conv1a.weight"), imagenet_name("bn7.weight")
        ('conv1a_weight', 'bn7_gamma')
    """
    *place, layer, tensor = name.split(".")
    word = tensor if layer.startswith("conv") else STATISTICS.get(tensor, tensor)
    if not place:
        return f"{layer}_{word}"
    stage, _, index = place[0].removeprefix("b").partition("_")
    kind, branch = layer.split("_")
    return f"{'res' if kind == 'conv' else 'bn'}{stage}{f'b{index}' if index else 'a'}_{branch}_{word}"
