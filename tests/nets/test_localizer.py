from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ktse.errors import InputError
from ktse.nets.localizer import Localizer, build_localizer
from ktse.nets.normalization import batch_norms

STEM = ("trunk.conv1a.", "trunk.b2.", "trunk.b2_1.", "trunk.b2_2.")


def resnet38d(**settings: object) -> Localizer:
    torch.manual_seed(0)
    return build_localizer("resnet38d", num_classes=3, width=1 / 16, **settings)


def demo(**settings: object) -> Localizer:
    torch.manual_seed(0)
    return build_localizer("demo", num_classes=3, **settings)


BUILDERS = pytest.mark.parametrize("build", [resnet38d, demo], ids=["resnet38d", "demo"])
Build = Callable[..., Localizer]


def learning(net: Localizer) -> set[str]:
    return {name for name, parameter in net.named_parameters() if parameter.requires_grad}


def norm_parameters(net: Localizer) -> set[str]:
    return {
        f"{name}.{kind}"
        for name, layer in net.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
        for kind in ("weight", "bias")
    }


@BUILDERS
def test_shapes(build: Build) -> None:
    net = build().eval()
    output = net(torch.randn(2, 3, 33, 48))
    stride = net.trunk.stride
    size = (-(-33 // stride), -(-48 // stride))
    assert output.cam_with_background.shape == (2, 4, *size)
    assert output.cam.shape == output.gated.shape == (2, 3, *size)
    assert output.logits.shape == (2, 3)


def test_background_channel_has_no_part_in_the_logits() -> None:
    net, images = demo().eval(), torch.randn(2, 3, 24, 24)
    before = net(images)
    net.fc9.weight.data[0] += 1
    after = net(images)
    assert not torch.equal(before.cam_with_background[:, 0], after.cam_with_background[:, 0])
    assert torch.equal(before.logits, after.logits)


def test_head_is_linear_relu_linear_without_bias() -> None:
    net, images = demo().eval(), torch.randn(2, 3, 24, 24)
    features = net.trunk(images)
    hidden = torch.einsum("dc,bchw->bdhw", net.fc8.weight[:, :, 0, 0], features).clamp(min=0)
    expected = torch.einsum("kd,bdhw->bkhw", net.fc9.weight[:, :, 0, 0], hidden)
    torch.testing.assert_close(net(images).cam_with_background, expected)


def test_head_starts_xavier_uniform() -> None:
    """Every weight within sqrt(6 / (in + out)), and spread up to it."""
    net = demo(head_width=300)
    for layer in (net.fc8, net.fc9):
        bound = (6 / (layer.in_channels + layer.out_channels)) ** 0.5
        assert 0.98 * bound < layer.weight.abs().max().item() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


@BUILDERS
def test_frozen_normalisation_never_learns(build: Build) -> None:
    net = build()
    statistics = {name: buffer.clone() for name, buffer in net.named_buffers()}
    for mode in (True, False, True):
        assert net.train(mode) is net
        assert not any(layer.training for layer in batch_norms(net))
        assert learning(net).isdisjoint(norm_parameters(net))
    net(torch.randn(2, 3, 24, 24))
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in net.named_buffers())


@BUILDERS
def test_trained_normalisation_learns_but_for_the_frozen_stem(build: Build) -> None:
    net = build(normalization_layers="trained").train()
    kept = {name for name in norm_parameters(net) if name.startswith(STEM)}
    assert learning(net) & norm_parameters(net) == norm_parameters(net) - kept
    statistics = {name: buffer.clone() for name, buffer in net.named_buffers() if name.endswith("running_mean")}
    net(torch.randn(2, 3, 24, 24))
    for name, before in statistics.items():
        assert torch.equal(net.get_buffer(name), before) is name.startswith(STEM), name


@BUILDERS
def test_normalisation_learns_until_it_is_frozen(build: Build) -> None:
    net = build(normalization_layers="frozen_after_warm_up").train()
    warm = learning(net)
    net.freeze_normalization(True)
    assert not any(layer.training for layer in batch_norms(net))
    assert learning(net) == warm - norm_parameters(net)
    net.eval().freeze_normalization(False)
    assert not any(layer.training for layer in net.modules())
    assert learning(net) == warm
    assert any(layer.training for layer in batch_norms(net.train()))


@BUILDERS
@pytest.mark.parametrize("normalization_layers", ["frozen", "trained"])
def test_parameter_groups_hold_what_learns_once(build: Build, normalization_layers: str) -> None:
    net = build(normalization_layers=normalization_layers)
    groups = net.parameter_groups()
    assert list(groups) == ["trunk", "head"]
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    grouped = [names[id(parameter)] for group in groups.values() for parameter in group]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == learning(net)
    assert {names[id(parameter)].partition(".")[0] for parameter in groups["trunk"]} == {"trunk"}
    assert len(groups["head"]) == 8


@BUILDERS
def test_gradient_reaches_all_that_learns(build: Build) -> None:
    net = build(normalization_layers="trained").train()
    output = net(torch.randn(2, 3, 32, 32))
    (output.cam_with_background.square().sum() + output.logits.sum()).backward()
    reached = {name for name, p in net.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}
    assert reached == learning(net)


def test_autocast_leaves_the_quadratic_part_exact() -> None:
    net, images = demo().eval(), torch.randn(2, 3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net.trunk(images).dtype == torch.bfloat16
        output = net(images)
    logits, gated = net.gpp(output.cam)
    assert output.cam_with_background.dtype == output.logits.dtype == torch.float32
    assert torch.equal(output.logits, logits)
    assert torch.equal(output.gated, gated)
    torch.testing.assert_close(output.logits, net(images).logits, rtol=0.1, atol=0.05)


def test_dtype_follows_the_input() -> None:
    assert demo().double()(torch.zeros(1, 3, 8, 8, dtype=torch.float64)).logits.dtype == torch.float64


def test_default_builder_is_the_published_network() -> None:
    """REFERENCE 1.4, less the four tensors, one counter and 512 weights of bn8, which nothing uses."""
    with torch.device("meta"):
        net = build_localizer()
    convolutions = [layer.weight for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    trained: list[Tensor] = [weight for group in net.parameter_groups().values() for weight in group]
    assert len(net.state_dict()) == 241 - 5
    assert sum(parameter.numel() for parameter in net.parameters()) == 106_129_696 - 512
    assert (len(convolutions), sum(weight.numel() for weight in convolutions)) == (51, 106_081_440)
    assert (len(trained), sum(weight.numel() for weight in trained)) == (43, 105_260_512)
    assert all(weight.ndim == 4 for weight in trained)


def test_no_class_is_refused() -> None:
    with pytest.raises(InputError, match="num_classes is 0"):
        build_localizer("demo", num_classes=0)
