from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ktse.errors import InputError, WeightsError
from ktse.nets.demo_trunk import packaged_demo_weights
from ktse.nets.trunks import build_trunk

VECTORS = Path(__file__).parents[1] / "reference" / "vectors"
NARROW = 1 / 32


def test_nothing_is_read_or_fetched_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("KTSE_WEIGHTS", "/nowhere")
    for name in ("resnet38d", "demo", "test_resnet"):
        build_trunk(name, width=NARROW if name == "resnet38d" else 1.0)


def test_width_is_that_of_resnet38d() -> None:
    assert build_trunk("resnet38d", width=NARROW).channels == 128


@pytest.mark.parametrize("name", ["demo", "test_resnet"])
def test_others_have_no_width(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' has no width 0.5"):
        build_trunk(name, width=0.5)


@pytest.mark.parametrize(("name", "stride", "width"), [("resnet38d", 8, NARROW), ("demo", 4, 1.0)])
def test_fixed_stride(name: str, stride: int, width: float) -> None:
    assert build_trunk(name, output_stride=stride, width=width).stride == stride
    with pytest.raises(InputError, match=f"has output stride {stride}, not 16. Set output_stride to {stride}"):
        build_trunk(name, output_stride=16, width=width)


def test_stride_and_dilation_reach_timm() -> None:
    first = {full: build_trunk("resnet18", output_stride=16, full_dilation=full) for full in (False, True)}
    assert {trunk.stride for trunk in first.values()} == {16}
    assert {full: trunk.network.layer4[0].conv1.dilation for full, trunk in first.items()} == {
        False: (1, 1),
        True: (2, 2),
    }


def test_near_matches_of_an_unknown_name() -> None:
    with pytest.raises(InputError, match=r"no trunk 'resnet38'\. Did you mean .*'resnet38d'"):
        build_trunk("resnet38")


def test_a_name_like_no_other_is_answered_with_a_few_that_work() -> None:
    with pytest.raises(
        InputError, match=r"no trunk 'nonsense'\. Take a convolutional network such as resnet50, [^']*$"
    ):
        build_trunk("nonsense")


@pytest.mark.parametrize("weights", ["demo", "packaged:demo"])
def test_packaged_weights_of_the_demo(weights: str) -> None:
    expected = load_file(packaged_demo_weights())
    state = build_trunk("demo", weights=weights).state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in expected.items())


def test_file_for_the_demo(tmp_path: Path) -> None:
    state = {name: torch.rand_like(t) if t.ndim else t for name, t in build_trunk("demo").state_dict().items()}
    save_file(state, tmp_path / "mine.safetensors")
    loaded = build_trunk("demo", weights=tmp_path / "mine.safetensors").state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in state.items())


def test_imagenet_weights_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A local copy under the published file's name stands for the name."""
    copy = tmp_path / "ilsvrc-cls_rna-a1_cls1000_ep-0001.params"
    copy.write_bytes((VECTORS / "resnet38_width_1_32_legacy.params").read_bytes())
    monkeypatch.setenv("KTSE_WEIGHTS", str(tmp_path))
    trunk = build_trunk("resnet38d", weights="resnet38d.imagenet", width=NARROW)
    with np.load(VECTORS / "resnet38_width_1_32.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(trunk.conv1a.weight.detach().numpy(), arrays["arg:conv1a_weight"])


@pytest.mark.parametrize(
    ("name", "weights", "fault"),
    [
        ("resnet38d", "timm", "timm has no weights of the trunk 'resnet38d'"),
        ("demo", "timm", "timm has no weights of the trunk 'demo'"),
        ("resnet38d", "demo", "the demo's weights do not fit the trunk 'resnet38d'"),
        ("test_resnet", "packaged:demo", "the demo's weights do not fit the trunk 'test_resnet'"),
        ("demo", "nowhere.pth", "no weights file 'nowhere.pth'"),
        ("resnet38d", "nowhere.pth", "no weights file 'nowhere.pth'"),
        ("test_resnet", "nowhere.pth", r"no weights file 'nowhere.pth'\. Known are: 'timm'\."),
        ("resnet38d", "nothing", r"no weights file 'nothing'\. Known are: 'resnet38d.imagenet'\."),
        ("resnet50", "nothing", r"no weights file 'nothing'\. Known are: 'resnet50.imagenet', 'timm'\."),
        ("resnet18", str(VECTORS), "is a folder, and weights are a file"),
    ],
)
def test_weights_that_cannot_be(name: str, weights: str, fault: str) -> None:
    with pytest.raises(WeightsError, match=fault):
        build_trunk(name, weights=weights, width=NARROW if name == "resnet38d" else 1.0)
