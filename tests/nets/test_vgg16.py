from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from ktse.errors import InputError, WeightsError
from ktse.nets.trunks import build_trunk
from ktse.nets.vgg16 import Vgg16, read_vgg16
from reference.torchvision_vgg16 import layout, write_file


@pytest.fixture(scope="module")
def trunk() -> Vgg16:
    torch.manual_seed(0)
    return Vgg16()


def test_names_and_shapes_are_those_of_torchvision(trunk: Vgg16) -> None:
    with torch.device("meta"):
        twin = torchvision.models.vgg16(init_weights=False)
    shapes = {name: tuple(tensor.shape) for name, tensor in twin.state_dict().items()}
    assert layout() == shapes
    own = {name: tuple(tensor.shape) for name, tensor in trunk.state_dict().items()}
    assert own == {name: shape for name, shape in shapes.items() if name.startswith("features.")}
    assert len(own) == 2 * 13


@pytest.mark.parametrize("size", [(33, 40), (65, 17), (8, 1)], ids=str)
def test_against_the_paper_layer_by_layer(trunk: Vgg16, size: tuple[int, int]) -> None:
    """torchvision's network with the three changes of the paper made by hand: pools, strides, dilation."""
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    state, features = trunk.state_dict(), images
    pools = {4: 2, 9: 2, 16: 2, 23: 1, 30: 1}
    for place in range(31):
        if place in pools:
            features = F.max_pool2d(F.pad(features, (1, 1, 1, 1), value=-torch.inf), 3, pools[place])
        elif f"features.{place}.weight" in state:
            weight, bias = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
            border = 2 if place >= 24 else 1
            features = F.relu(F.conv2d(F.pad(features, (border,) * 4), weight, bias, dilation=border))
    with torch.inference_mode():
        torch.testing.assert_close(trunk(images), features)
    assert features.shape == (2, 512, -(-size[0] // 8), -(-size[1] // 8))
    assert features.any()  # the first weights keep signals alive through all layers


@pytest.mark.parametrize("prefix", ["", "module."], ids=["plain", "of several processes"])
def test_convolutions_of_a_file_in_torchvisions_layout(tmp_path: Path, prefix: str) -> None:
    values = write_file(tmp_path / "vgg16.pth", prefix=prefix)
    trunk = build_trunk("vgg16", weights=tmp_path / "vgg16.pth", output_stride=8)
    assert (trunk.channels, trunk.stride) == (512, 8)
    for name, tensor in trunk.state_dict().items():
        assert (tensor == values[name]).all(), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.28.bias": None}, r"1 missing \(features.28.bias\)"),
        ({"features.31.weight": (512, 512, 3, 3)}, r"1 unknown \(features.31.weight\)"),
        ({"features.5.weight": (128, 128, 3, 3)}, r"misfitting \(features.5.weight: \(128, 128, 3, 3\)"),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_other_networks_are_refused(tmp_path: Path, change: dict[str, tuple[int, ...] | None], message: str) -> None:
    write_file(tmp_path / "vgg16.pth", change=change)
    with pytest.raises(WeightsError, match=message):
        build_trunk("vgg16", weights=tmp_path / "vgg16.pth")


def test_other_strides_are_refused() -> None:
    with torch.device("meta"), pytest.raises(InputError, match="'vgg16' has output stride 8, not 16"):
        build_trunk("vgg16", output_stride=16)


def test_timm_means_torchvisions_own_file_checked_and_read_safely(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def give(url: str, **keywords: Any) -> dict[str, Tensor]:
        asked.update(keywords, url=url)
        return {"features.0.bias": torch.ones(64)}

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", give)
    assert list(read_vgg16("timm")) == ["features.0.bias"]
    assert asked["url"].endswith("vgg16-397923af.pth")
    assert asked["check_hash"]
    assert asked["weights_only"]


def test_no_connection_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fail)
    with pytest.raises(WeightsError, match=r"no route to host.*segmentation\.trunk_weights=FILE"):
        build_trunk("vgg16", weights="timm")


def test_known_name_finds_a_local_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = write_file(tmp_path / "vgg16-397923af.pth")
    monkeypatch.setenv("KTSE_WEIGHTS", str(tmp_path))
    assert read_vgg16("vgg16.imagenet").keys() == values.keys()


def test_there_is_nothing_but_convolutions_relus_and_pools(trunk: Vgg16) -> None:
    kinds = [type(layer) for layer in trunk.features]
    assert (kinds.count(nn.Conv2d), kinds.count(nn.ReLU), kinds.count(nn.MaxPool2d)) == (13, 13, 5)
