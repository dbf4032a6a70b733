from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ktse.errors import InputError
from ktse.nets.demo_trunk import DemoTrunk, load_demo_weights
from ktse.nets.feature_taps import ChainTaps, FeatureTaps, TimmTaps, build_feature_taps, demo_taps, resnet38d_taps
from ktse.nets.resnet38d import ResNet38d

TRUNKS = {
    "resnet18.tv_in1k": ((64, 64, 128, 256, 512), (4, 4, 8, 16, 16)),
    "demo": ((16, 24, 48, 80), (2, 2, 4, 4)),
    "vgg16": ((64, 128, 256, 512, 512), (2, 4, 8, 8, 8)),
    "tf_efficientnet_lite0": ((16, 24, 40, 112, 320), (2, 4, 8, 16, 32)),
    "mobilenetv3_small_050": ((16, 8, 16, 24, 288), (2, 4, 8, 16, 32)),
    "test_convnext": ((24, 32, 48, 64), (4, 8, 16, 32)),
    "rexnet_100": ((16, 38, 61, 128, 185), (2, 4, 8, 16, 32)),
}


@pytest.mark.parametrize(("name", "channels", "strides"), [(name, *taps) for name, taps in TRUNKS.items()])
def test_channels_and_strides(name: str, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
    taps = build_feature_taps(name)
    assert (taps.channels, taps.strides) == (channels, strides)
    features = taps.eval()(torch.rand(1, 3, 64, 96))
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (width, 64 // stride, 96 // stride) for width, stride in zip(channels, strides, strict=True)
    ]


def test_last_stage_of_a_resnet_has_neither_stride_nor_dilation() -> None:
    with torch.device("meta"):
        stage = build_feature_taps("resnet50").get_submodule("network.layer4")
    convolutions = [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
    assert {layer.dilation for layer in convolutions} == {(1, 1)}
    assert {layer.stride for layer in convolutions} == {(1, 1)}
    assert {(layer.kernel_size[0], layer.padding[0]) for layer in convolutions} == {(1, 0), (3, 1)}


@pytest.mark.parametrize("name", ["test_convnext", "test_efficientnet", "mobilenetv3_small_050"])
def test_taps_of_timm_are_where_timm_says(name: str) -> None:
    taps = build_feature_taps(name).eval()
    assert isinstance(taps, TimmTaps)
    seen: list[Tensor] = []
    for info in taps.network.feature_info:
        layer = taps.network.get_submodule(info["module"])
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    features = taps(torch.rand(1, 3, 64, 64))
    assert len(seen) == len(features)
    assert all(torch.equal(a, b) for a, b in zip(features, seen, strict=True))


def chains() -> list[FeatureTaps]:
    return [demo_taps(DemoTrunk()), resnet38d_taps(ResNet38d(1 / 32)), build_feature_taps("vgg16")]


@pytest.mark.parametrize("number", [0, 1, 2], ids=["demo", "resnet38d", "vgg16"])
def test_last_tap_of_a_chain_is_what_the_trunk_gives(number: int) -> None:
    taps = chains()[number].eval()
    assert isinstance(taps, ChainTaps)
    images = torch.rand(1, 3, 33, 40)
    features = taps(images)
    torch.testing.assert_close(features[-1], taps.network(images))
    assert [feature.shape[-2:] for feature in features] == [(-(-33 // s), -(-40 // s)) for s in taps.strides]


def test_resnet38d_is_tapped_after_each_change_of_width() -> None:
    with torch.device("meta"):
        taps = build_feature_taps("resnet38d")
    assert (taps.channels, taps.strides) == ((128, 256, 512, 1024, 4096), (2, 4, 8, 8, 8))


def test_weights_are_loaded(tmp_path: Path) -> None:
    trunk = DemoTrunk()
    load_demo_weights(trunk)
    loaded = build_feature_taps("demo", weights="demo").get_submodule("network")
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), trunk.state_dict().values(), strict=True)
    )
    state = timm.create_model("test_resnet").state_dict()
    save_file(state, tmp_path / "net.safetensors")
    resnet = build_feature_taps("test_resnet", weights=tmp_path / "net.safetensors").get_submodule("network")
    assert all(torch.equal(tensor, state[name]) for name, tensor in resnet.state_dict().items())


@pytest.mark.parametrize("name", ["resnet81", "test_vit"], ids=["unknown", "no feature maps"])
def test_names_that_are_no_trunk(name: str) -> None:
    with pytest.raises(InputError, match=r"no trunk|convolutional network"):
        build_feature_taps(name)


def test_network_that_does_not_show_its_features() -> None:
    with pytest.raises(InputError, match="'Identity' does not show its features on the way"):
        TimmTaps(nn.Identity())
