from __future__ import annotations

import torch
from timm.layers import BatchNormAct2d
from torch import nn

from ktse.nets.normalization import batch_norms, hold_batch_norms


def network() -> nn.Sequential:
    inner = nn.Sequential(BatchNormAct2d(2), nn.GroupNorm(1, 2), nn.Dropout(0.5))
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), inner, nn.SyncBatchNorm(2))


def test_every_kind_of_batch_normalisation_is_found() -> None:
    net = network()
    assert list(batch_norms(net)) == [net[1], net[2][0], net[3]]


def test_held_layers_keep_their_statistics_and_all_others_train() -> None:
    net = network()[:3].train()
    hold_batch_norms(net)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net(torch.randn(4, 1, 3, 3))
    assert before.keys() == dict(net.named_buffers()).keys()
    for name, buffer in net.named_buffers():
        assert torch.equal(buffer, before[name]), name
    assert net[2][2].training
    assert net[2][1].training
