from __future__ import annotations

import pytest
import torch
from torch import nn

from ktse.nets.new_layers import draw_new_layers


def test_convolutions_start_small_and_without_bias_and_nothing_else_is_touched() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 1, bias=False), nn.BatchNorm2d(64))
    draw_new_layers(net)
    for layer in net[:2]:
        assert layer.weight.mean().item() == pytest.approx(0, abs=1e-3)
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not net[0].bias.any()
    assert (net[2].weight == 1).all()
