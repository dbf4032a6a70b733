from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ktse.errors import WeightsError
from ktse.nets.deeplab import build_deeplab
from ktse.nets.irnet import build_irnet
from ktse.nets.localizer import build_localizer
from ktse.nets.published_deeplab import published_name, released_name
from ktse.nets.published_irnet import published_name as irnet_name
from ktse.nets.published_localizer import published_name as localizer_name
from ktse.nets.weight_contents import check_weights, recognise

VECTORS = Path(__file__).parents[1] / "reference" / "vectors"


def thin(state: Mapping[str, Tensor], rename: Any = str) -> dict[str, Tensor]:
    """The same names and shapes with little to store."""
    return {
        rename(name): torch.zeros(tensor.shape, dtype=torch.float16 if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in state.items()
    }


def described(build: Any, *sizes: Any, **more: Any) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        net: nn.Module = build(*sizes, **more)
    return net.state_dict()


def localizer() -> dict[str, Tensor]:
    return thin(described(build_localizer, "resnet38d", 3, width=1 / 32, head_width=16), localizer_name)


def deeplab(rename: Any) -> dict[str, Tensor]:
    return thin(described(build_deeplab, "resnet18", 4), rename)


def resnet() -> dict[str, Tensor]:
    state = {name: tensor for name, tensor in deeplab(published_name).items() if not name.startswith("aspp.")}
    return state | {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}


CASES = {
    "localizer": (localizer, "localizer", 3, "localizer on resnet38d of width 0.03125, 3 classes"),
    "localizer of several processes": (
        lambda: {f"module.{name}": tensor for name, tensor in localizer().items()},
        "localizer",
        3,
        "localizer on resnet38d of width 0.03125, 3 classes",
    ),
    "pair": (
        lambda: {"net_state_dict": dict.fromkeys(("network1", "network2"), deeplab(released_name)), "epoch": 100},
        "segmenter",
        4,
        "pair of DeepLabV2 on resnet18, 4 labels",
    ),
    "one segmenter": (lambda: deeplab(published_name), "segmenter", 4, "DeepLabV2 on resnet18, 4 labels"),
    "IRNet": (lambda: thin(described(build_irnet, "resnet18"), irnet_name), "irnet", 0, "IRNet on resnet18"),
    "ResNet": (resnet, "trunk", 0, "trunk resnet18"),
}


@pytest.mark.parametrize(("content", "kind", "labels", "words"), CASES.values(), ids=CASES)
def test_what_a_file_is(tmp_path: Path, content: Any, kind: str, labels: int, words: str) -> None:
    torch.save(content(), tmp_path / "x.pth")
    contents = check_weights(tmp_path / "x.pth")
    assert (contents.kind, contents.labels, contents.description) == (kind, labels, words)


@pytest.mark.parametrize("name", ["resnet38_width_1_32.params", "resnet38_width_1_32_legacy.params"])
def test_imagenet_file_of_resnet38d(name: str) -> None:
    assert check_weights(VECTORS / name).description == "trunk resnet38d of width 0.03125"


def test_vgg16(tmp_path: Path) -> None:
    from ktse.nets.vgg16 import Vgg16

    torch.save(thin(described(Vgg16)), tmp_path / "x.pth")
    assert check_weights(tmp_path / "x.pth").description == "trunk vgg16"


def test_one_tensor_too_few_or_of_another_shape(tmp_path: Path) -> None:
    state = localizer()
    del state["b4_2.conv_branch2a.weight"]
    state["fc8.weight"] = torch.zeros(16, 127, 1, 1)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"1 missing \(b4_2.conv_branch2a.weight\).*fc8.weight: \(16, 127, 1, 1\)"):
        check_weights(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "content",
    [
        {"a": torch.ones(1)},
        {"bn7.weight": torch.tensor(1.0)},
        {"network1": {"a": torch.ones(1)}, "network2": {}},
        {"fc9.weight": torch.ones(3)},
        {"layer1.0.conv1.weight": torch.ones(1)},
        {"layer1": torch.ones(1)},
    ],
    ids=["one name", "no size", "empty pair", "half a localizer", "half a ResNet", "odd name"],
)
def test_other_files_are_of_no_kind(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="of no kind that is known"):
        recognise(tmp_path / "x.pth")


def test_a_network_of_endless_size_is_not_made(tmp_path: Path) -> None:
    state = localizer() | {"fc8.weight": torch.zeros(1).expand(10**7, 128, 1, 1)}
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    assert (tmp_path / "x.pth").stat().st_size < 10**6
    with pytest.raises(WeightsError, match=r"announces \(10000000, 128, 1, 1\) numbers and holds fewer"):
        recognise(tmp_path / "x.pth")


@pytest.mark.filterwarnings("ignore:.*sparse tensor invariants:UserWarning")
def test_a_sparse_tensor_is_refused(tmp_path: Path) -> None:
    torch.save(localizer() | {"fc8.weight": torch.zeros(16, 128, 1, 1).to_sparse()}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x\.pth' with shape \(16, 128, 1, 1\) is torch.sparse_coo"):
        recognise(tmp_path / "x.pth")


def test_a_file_that_holds_itself_is_of_no_kind(tmp_path: Path) -> None:
    content: dict[str, Any] = {"state_dict": localizer()}
    content["state_dict"]["itself"] = content["state_dict"]
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="does not hold tensors by name"):
        recognise(tmp_path / "x.pth")


def test_the_network_is_built_with_the_numbers_of_the_file(tmp_path: Path) -> None:
    net = build_localizer("resnet38d", 2, width=1 / 64, head_width=8)
    torch.save({localizer_name(name): tensor for name, tensor in net.state_dict().items()}, tmp_path / "x.pth")
    built = recognise(tmp_path / "x.pth").build().state_dict()
    assert all(torch.equal(tensor, built[name]) for name, tensor in net.state_dict().items())
