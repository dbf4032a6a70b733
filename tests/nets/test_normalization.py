from __future__ import annotations

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from ktse.errors import RecipeError
from ktse.nets.deeplab import build_deeplab
from ktse.nets.normalization import batch_norms, hold_batch_norms, hold_frozen_batch_norms, set_normalization

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)  # the device is only asked for its kind


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


def test_frozen_layers_neither_learn_nor_adapt_and_all_others_do() -> None:
    net = network()
    assert set_normalization(net, "frozen", device=CPU, world_size=2) is net
    norms = {part for layer in batch_norms(net) for part in layer.modules()}  # timm's carry their activation
    for _ in range(2):
        assert {layer for layer in net.modules() if not layer.training} == norms
        hold_frozen_batch_norms(net.train())
    assert not any(parameter.requires_grad for layer in norms for parameter in layer.parameters())
    assert all(parameter.requires_grad for parameter in [*net[0].parameters(), *net[2][1].parameters()])


@pytest.mark.parametrize(("mode", "processes"), [("trained", 2), ("synchronized", 1)])
def test_layers_stay_as_they_are_where_there_is_nothing_to_do(mode: str, processes: int) -> None:
    net = network()
    before = list(net.modules())
    assert set_normalization(net, mode, device=CPU, world_size=processes) is net
    assert list(net.modules()) == before
    assert all(layer.training for layer in before)
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_synchronized_layers_keep_parameters_statistics_and_activation() -> None:
    torch.manual_seed(0)
    net = build_deeplab("test_efficientnet", num_labels=3, output_stride=None, dilations=(1,))
    net(torch.randn(2, 3, 32, 32))  # statistics of its own
    parameters, state = list(net.parameters()), {name: tensor.clone() for name, tensor in net.state_dict().items()}
    images = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = net.eval()(images).logits
    synchronized = set_normalization(net, "synchronized", device=GPU, world_size=2)
    assert all(isinstance(layer, nn.SyncBatchNorm) for layer in batch_norms(synchronized))
    assert list(map(id, synchronized.parameters())) == list(map(id, parameters))
    assert all(torch.equal(tensor, state[name]) for name, tensor in synchronized.state_dict().items())
    with torch.inference_mode():
        torch.testing.assert_close(synchronized.eval()(images).logits, expected)


def test_synchronized_is_refused_where_pytorch_cannot_do_it() -> None:
    with pytest.raises(RecipeError, match=r"on the CPU.*normalization_layers to frozen or trained"):
        set_normalization(network(), "synchronized", device=CPU, world_size=2)


def test_unknown_mode_names_the_near_one() -> None:
    with pytest.raises(RecipeError, match=r"normalization_layers is 'freeze'\. Did you mean 'frozen'"):
        set_normalization(network(), "freeze", device=CPU, world_size=1)
