"""What every trunk promises, whatever it is."""

from __future__ import annotations

import pytest
import torch

from ktse.nets.trunk import Trunk
from ktse.nets.trunks import build_trunk

TRUNKS = {
    "resnet38d": {"name": "resnet38d", "width": 1 / 32},
    "demo": {"name": "demo"},
    "timm residual": {"name": "test_resnet", "output_stride": 8},
    "timm padding by itself": {"name": "test_efficientnet", "output_stride": 16},
}


@pytest.fixture(params=TRUNKS.values(), ids=TRUNKS)
def trunk(request: pytest.FixtureRequest) -> Trunk:
    return build_trunk(**request.param)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (65, 95), (17, 33)], ids=str)
def test_channels_and_stride_are_those_of_the_features(trunk: Trunk, height: int, width: int) -> None:
    with torch.inference_mode():
        features = trunk.eval()(torch.randn(2, 3, height, width))
    assert features.shape == (2, trunk.channels, -(-height // trunk.stride), -(-width // trunk.stride))


def test_everything_that_learns_has_part_in_the_features(trunk: Trunk) -> None:
    torch.manual_seed(0)
    for parameter in trunk.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.5  # some networks start with layers that are zero
    trunk.eval()(torch.randn(2, 3, 64, 64)).square().sum().backward()
    for name, parameter in trunk.named_parameters():
        assert (parameter.grad is not None) is parameter.requires_grad, name


def test_mode_is_returned(trunk: Trunk) -> None:
    assert trunk.train() is trunk
    assert trunk.training
