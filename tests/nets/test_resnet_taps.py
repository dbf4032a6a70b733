from __future__ import annotations

import pytest
import torch
from torch import nn

from ktse.errors import InputError
from ktse.nets.resnet_taps import build_resnet_taps


def test_taps_have_the_published_strides() -> None:
    taps = build_resnet_taps("test_resnet", weights=None)
    features = taps.eval()(torch.rand(1, 3, 64, 96))
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (channels, 64 // stride, 96 // stride) for channels, stride in zip(taps.channels, taps.strides, strict=True)
    ]


def test_last_stage_has_neither_stride_nor_dilation() -> None:
    with torch.device("meta"):
        stage = build_resnet_taps("resnet50", weights=None).network.get_submodule("layer4")
    convolutions = [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
    assert {layer.dilation for layer in convolutions} == {(1, 1)}
    assert {layer.stride for layer in convolutions} == {(1, 1)}
    assert {(layer.kernel_size[0], layer.padding[0]) for layer in convolutions} == {(1, 0), (3, 1)}


@pytest.mark.parametrize("trunk", ["demo", "test_convnext", "test_efficientnet"])
def test_only_resnets_have_the_published_taps(trunk: str) -> None:
    with pytest.raises(InputError, match=r"no ResNet of timm|output stride"):
        build_resnet_taps(trunk, weights=None)
