from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ktse.nets.resnet38d import ResNet38d

FROZEN = ("conv1a.", "b2.", "b2_1.", "b2_2.")


@pytest.fixture
def narrow() -> ResNet38d:
    torch.manual_seed(0)
    return ResNet38d(width=1 / 16)


@pytest.fixture(scope="module")
def full() -> ResNet38d:
    with torch.device("meta"):  # no memory, no initialisation
        return ResNet38d()


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(375, 500, (47, 63)), (188, 250, (24, 32)), (8, 8, (1, 1)), (1, 9, (1, 2))],
    ids=str,
)
def test_size_is_a_rounded_up_eighth(height: int, width: int, expected: tuple[int, int]) -> None:
    trunk = ResNet38d(width=1 / 64).eval()
    with torch.inference_mode():
        assert trunk(torch.zeros(1, 3, height, width)).shape[-2:] == expected


def test_counts_of_the_published_network(full: ResNet38d) -> None:
    convolutions = [layer.weight for layer in full.modules() if isinstance(layer, nn.Conv2d)]
    head = 2 + 6  # fc8, fc9 and the gates
    assert len(convolutions) == 51 - head
    assert all(layer.bias is None for layer in full.modules() if isinstance(layer, nn.Conv2d))
    assert len([weight for weight in convolutions if not weight.requires_grad]) == 8
    assert len([layer for layer in full.modules() if isinstance(layer, nn.BatchNorm2d)]) == 37
    assert full.channels == 4096


def test_dilations_and_strides(full: ResNet38d) -> None:
    """Every convolution that is not a plain 3x3 of stride 1, as the table of REFERENCE 1.1 has it."""
    layers = {name: layer for name, layer in full.named_modules() if isinstance(layer, nn.Conv2d)}
    assert {name: layer.dilation[0] for name, layer in layers.items() if layer.dilation[0] > 1} == {
        "b5.conv_branch2b1": 2,
        "b5_1.conv_branch2a": 2,
        "b5_1.conv_branch2b1": 2,
        "b5_2.conv_branch2a": 2,
        "b5_2.conv_branch2b1": 2,
        "b6.conv_branch2b1": 4,
        "b7.conv_branch2b1": 4,
    }
    assert {name for name, layer in layers.items() if layer.stride[0] > 1} == {
        f"b{stage}.conv_branch{branch}" for stage in (2, 3, 4) for branch in ("1", "2a")
    }


def test_width_scales_every_channel_and_the_stem(full: ResNet38d, narrow: ResNet38d) -> None:
    wide = {name: tensor.shape for name, tensor in full.named_parameters()}
    for name, tensor in narrow.named_parameters():
        kernel = wide[name][2:]
        inputs = () if tensor.ndim == 1 else (3 if name.startswith("conv1a") else wide[name][1] // 16,)
        assert tuple(tensor.shape) == (wide[name][0] // 16, *inputs, *kernel), name


@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
def test_stem_and_first_blocks_are_frozen_in_every_mode(narrow: ResNet38d, mode: bool) -> None:
    assert narrow.train(mode) is narrow
    for name, parameter in narrow.named_parameters():
        assert parameter.requires_grad is not name.startswith(FROZEN), name
    for name, layer in narrow.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.training is (mode and not name.startswith(FROZEN)), name


def test_gradient_reaches_all_that_learns_and_nothing_frozen(narrow: ResNet38d) -> None:
    narrow.train()
    narrow(torch.randn(2, 3, 32, 32)).square().sum().backward()
    for name, parameter in narrow.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached is not name.startswith(FROZEN), name


@pytest.mark.parametrize("site", [0, 1], ids=["before 3x3", "before last 1x1"])
@pytest.mark.parametrize("block", ["b6", "b7"])
def test_dropout_takes_whole_channels_of_b6_and_b7(narrow: ResNet38d, block: str, site: int) -> None:
    """With one dropout alone in training, the input of the convolution after it loses channels and is scaled."""
    layer = narrow.eval().get_submodule(block)
    seen: list[Tensor] = []
    convolution = (layer.conv_branch2b1, layer.conv_branch2b2)[site]
    convolution.register_forward_pre_hook(lambda _, given: seen.append(given[0].abs().sum(dim=(-2, -1))))
    features = torch.randn(16, layer.conv_branch2a.in_channels, 3, 3)

    layer(features)
    [part for part in layer.modules() if isinstance(part, nn.Dropout2d)][site].train()
    layer(features)

    whole, dropped = seen
    kept = dropped > 0
    torch.testing.assert_close(dropped[kept], whole[kept] / 0.8)
    assert (whole[~kept] > 0).sum() / whole.numel() == pytest.approx(0.2, abs=0.06)


def test_there_is_no_other_dropout(full: ResNet38d) -> None:
    assert sum("Dropout" in type(layer).__name__ for layer in full.modules()) == 4
