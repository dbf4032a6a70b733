from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from ktse.errors import InputError, WeightsError
from ktse.nets import timm_trunk
from ktse.nets.timm_trunk import TimmTrunk, apply_full_dilation, build_timm_trunk
from reference.weights_by_formula import tensor_of


def build(name: str, *, weights: str | Path | None = None, output_stride: int | None = None, **more: bool) -> TimmTrunk:
    return build_timm_trunk(name, weights=weights, output_stride=output_stride, **more)


def formula_state(net: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor_of(name, tuple(tensor.shape)) if tensor.ndim else tensor
        for name, tensor in net.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "stride"),
    [(name, stride) for name in ("test_resnet", "test_efficientnet", "test_convnext") for stride in (8, 16, 32)],
)
def test_output_stride(name: str, stride: int) -> None:
    trunk = build(name, output_stride=stride)
    assert trunk.stride == stride
    assert trunk(torch.zeros(1, 3, 64, 96)).shape == (1, trunk.channels, 64 // stride, 96 // stride)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050"], ids=["has the argument", "has not"])
def test_own_stride_without_and_with_asking(name: str) -> None:
    assert build(name).stride == build(name, output_stride=32).stride == 32


@pytest.mark.parametrize(("name", "stride"), [("test_resnet", 4), ("test_convnext", 12), ("mobilenetv3_small_050", 16)])
def test_impossible_stride(name: str, stride: int) -> None:
    with pytest.raises(InputError, match=f"'{name}' has output stride 32 and cannot have {stride}"):
        build(name, output_stride=stride)


@pytest.mark.parametrize(
    "name",
    ["vit_tiny_patch16_224", "test_vit", "test_mambaout", "inception_v3"],
    ids=["one size", "tokens", "channels last", "borders cut off"],
)
def test_networks_without_feature_maps(name: str) -> None:
    with pytest.raises(InputError, match="convolutional network such as resnet50"):
        build(name)


def test_layers_that_cannot_normalise_one_value_are_measured_all_the_same() -> None:
    assert build("rexnet_100").channels == 1280  # its attention normalises a 1x1 map


def test_unknown_name() -> None:
    with pytest.raises(InputError, match=r"no trunk 'resnet81'\. Did you mean 'resnet18'"):
        build("resnet81")


def test_what_only_the_classifier_uses_does_not_learn() -> None:
    trunk = build("test_convnext")
    frozen = {name for name, parameter in trunk.named_parameters() if not parameter.requires_grad}
    assert frozen == {"network.head.norm.weight", "network.head.norm.bias"}


def torchvision_twin() -> torchvision.models.ResNet:
    """A ResNet with two bottleneck blocks a stage, as timm's resnet26, at output stride 8."""
    block = torchvision.models.resnet.Bottleneck
    return torchvision.models.ResNet(block, [2, 2, 2, 2], replace_stride_with_dilation=[False, True, True])


def features_of(net: torchvision.models.ResNet, images: Tensor) -> Tensor:
    features = net.maxpool(net.relu(net.bn1(net.conv1(images))))
    return net.layer4(net.layer3(net.layer2(net.layer1(features))))


@pytest.mark.parametrize("full_dilation", [False, True], ids=["as timm", "full dilation"])
def test_against_torchvision(full_dilation: bool) -> None:
    """torchvision, too, leaves the first block of a dilated stage at the dilation before; set by hand for the other."""
    trunk, twin = build("resnet26", output_stride=8, full_dilation=full_dilation).eval(), torchvision_twin().eval()
    twin.load_state_dict({"fc.weight": twin.fc.weight, "fc.bias": twin.fc.bias, **formula_state(trunk.network)})
    trunk.network.load_state_dict(formula_state(trunk.network))
    if full_dilation:
        for layer, dilation in ((twin.layer3, 2), (twin.layer4, 4)):
            layer[0].conv2.dilation = layer[0].conv2.padding = (dilation, dilation)
    images = torch.randn(1, 3, 65, 49, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours, expected = trunk(images), features_of(twin, images)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("resnet18", {"layer3.0.conv1": 2, "layer4.0.conv1": 4}),
        ("efficientnet_lite0", {"blocks.3.0.conv_dw": 2, "blocks.5.0.conv_dw": 4}),
        ("regnety_002", {"s3.b1.conv2.conv": 2, "s4.b1.conv2.conv": 4}),
        ("test_convnext", {}),  # its dilated stages are of one dilation as they are
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_full_dilation_changes_first_blocks_only_and_keeps_the_size(name: str, changed: dict[str, int]) -> None:
    network = timm.create_model(name, num_classes=0, output_stride=8)
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)}
    before = {name: layer.dilation[0] for name, layer in layers.items()}
    size = network.forward_features(torch.zeros(1, 3, 65, 64)).shape
    apply_full_dilation(network)
    assert {name: layer.dilation[0] for name, layer in layers.items()} == {**before, **changed}
    assert all(before[layer] < dilation for layer, dilation in changed.items())
    assert network.forward_features(torch.zeros(1, 3, 65, 64)).shape == size


def whole_network(name: str) -> dict[str, Tensor]:
    """What a file of the pre-trained network holds, its classifier included."""
    return formula_state(timm.create_model(name, num_classes=7))


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_file_with_timms_names(tmp_path: Path, name: str) -> None:
    state, path = whole_network(name), tmp_path / "net.safetensors"
    save_file(state, path)
    loaded = build(name, weights=path).network.state_dict()
    assert len(loaded) == len(state) - 2  # the classifier's weight and bias
    assert all(torch.equal(tensor, state[entry]) for entry, tensor in loaded.items())


def test_file_of_another_network(tmp_path: Path) -> None:
    torch.save(whole_network("test_resnet"), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net.pth' does not fit the network: \d+ missing .*; \d+ unknown"):
        build("test_efficientnet", weights=tmp_path / "net.pth")


def test_weights_of_timm_are_asked_for_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    create = timm.create_model

    def spy(name: str, *, pretrained: bool = False, **settings: Any) -> nn.Module:
        asked.append(pretrained)
        if pretrained:
            raise OSError("no connection")
        return create(name, **settings)

    monkeypatch.setattr(timm, "create_model", spy)
    monkeypatch.setattr(timm_trunk, "pretrained_source", lambda name: {})
    build("test_resnet", output_stride=16)
    assert asked == [False]
    with pytest.raises(WeightsError, match=r"'test_resnet' .*no connection.*localization.trunk_weights=FILE"):
        build("test_resnet", weights="timm")
    assert asked == [False, True]


def test_fault_of_a_network_is_not_taken_for_one_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> nn.Module:
        raise KeyError("inside")

    monkeypatch.setattr(timm, "create_model", broken)
    with pytest.raises(KeyError, match="inside"):
        build("test_resnet")


@pytest.mark.skipif("KTSE_SHARED" not in os.environ, reason="KTSE_SHARED, the folder with the weights, is not set")
@pytest.mark.parametrize("stride", [16, 8])
def test_efficientnet_with_its_pretrained_weights(stride: int) -> None:
    path = Path(os.environ["KTSE_SHARED"]) / "weights" / "tf_efficientnet_lite0.safetensors"
    trunk = build("tf_efficientnet_lite0", weights=path, output_stride=stride).eval()
    with torch.inference_mode():
        features = trunk(torch.zeros(1, 3, 65, 64))
    assert features.shape == (1, 1280, -(-65 // stride), 64 // stride)
    assert trunk.network.bn1.running_var.std() > 0  # 1 everywhere before loading
