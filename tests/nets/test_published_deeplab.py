from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.errors import WeightsError
from ktse.nets.deeplab import DeepLab, build_deeplab
from ktse.nets.deeplab_pair import DeepLabPair, build_deeplab_pair
from ktse.nets.published_deeplab import load_published_deeplab, load_published_deeplab_pair
from ktse.nets.weight_files import read_checkpoint
from reference.weights_by_formula import state_of

VECTORS = Path(__file__).parents[1] / "reference" / "vectors"
STEM = ("conv1.", "bn1.")
"""First words of the tensors that the released checkpoint moves below `stem_layer`."""


def small() -> DeepLab:
    return build_deeplab("test_resnet", num_labels=3, dilations=(1, 2))


def published_state(net: DeepLab) -> dict[str, Tensor]:
    """Random tensors under torchvision's names, without the counters of batch normalisation."""
    names = {name: name.replace("head.branches.", "aspp.c").replace("trunk.network.", "") for name in net.state_dict()}
    return {
        names[name]: torch.rand_like(tensor)
        for name, tensor in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def released(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of the released checkpoint."""

    def rename(name: str) -> str:
        if name.startswith("aspp."):
            return name
        return f"backbone.stem_layer.{name}" if name.startswith(STEM) else f"backbone.{name}"

    return {rename(name): tensor for name, tensor in state.items()}


def test_published_network() -> None:
    """The whole ResNet-101 network against the published one; values are large, so relative to the largest."""
    with np.load(VECTORS / "deeplabv2_resnet101.npz", allow_pickle=False) as vectors:
        net = build_deeplab("resnet101", num_labels=21).eval()
        load_published_deeplab(net, state_of(vectors))
        with torch.inference_mode():
            output = net(torch.from_numpy(vectors["image"]))
        for name, ours in (("pre_logits", output.pre_logits), ("logits", output.logits)):
            expected = torch.from_numpy(vectors[name])
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
        assert sum(parameter.numel() for parameter in net.parameters()) == 44_048_532
        assert sum(parameter.numel() for parameter in net.head.parameters()) == 1_548_372


def test_both_forms_of_names_load_the_same() -> None:
    first, second, third = small(), small(), small()
    state, other = published_state(first), published_state(first)
    load_published_deeplab(first, state)
    load_published_deeplab(second, {"net_state_dict": {"network1": released(state), "network2": {}}, "epoch": 3})
    load_published_deeplab(third, {"network1": released(other), "network2": released(state)}, network="network2")
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
        assert torch.equal(tensor, third.state_dict()[name]), name
    assert torch.equal(first.head.branches[1].bias, state["aspp.c1.bias"])


def test_counters_may_be_there() -> None:
    net = small()
    state = published_state(net) | {"bn1.num_batches_tracked": torch.tensor(7)}
    load_published_deeplab(net, state)
    assert torch.equal(net.trunk.network.bn1.weight, state["bn1.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aspp.c0.bias": None}, r"1 missing \(aspp.c0.bias\)"),
        ({"aspp.c2.bias": torch.zeros(3)}, r"1 unknown \(aspp.c2.bias\)"),
        ({"bn1.bias": torch.zeros(2)}, r"misfitting \(bn1.bias: \(2,\)"),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_other_networks_are_refused(change: dict[str, Tensor | None], message: str) -> None:
    net = small()
    state = {name: value for name, value in (published_state(net) | change).items() if value is not None}
    with pytest.raises(WeightsError, match=message):
        load_published_deeplab(net, state)


def test_unknown_network_of_the_pair_names_the_near_one() -> None:
    with pytest.raises(WeightsError, match=r"no 'network3'\. Did you mean 'network"):
        load_published_deeplab(small(), {"net_state_dict": {"network1": {}, "network2": {}}}, network="network3")


def small_pair() -> DeepLabPair:
    return build_deeplab_pair(small)


@pytest.mark.parametrize("prefix", ["", "module."], ids=["one process", "several processes"])
def test_released_file_of_a_pair(tmp_path: Path, prefix: str) -> None:
    """Written in the released layout, read from disk, each network gets its own tensors."""
    pair, states = small_pair(), [published_state(small()) for _ in range(2)]
    networks = {
        f"network{place}": {f"{prefix}{name}": tensor for name, tensor in released(state).items()}
        for place, state in enumerate(states, start=1)
    }
    torch.save({"net_state_dict": networks, "epoch": 99, "best": {"miou": 0.7}}, tmp_path / "best_ckpt.pth")
    load_published_deeplab_pair(pair, read_checkpoint(tmp_path / "best_ckpt.pth"))
    for net, state in zip((pair.network1, pair.network2), states, strict=True):
        single = small()
        load_published_deeplab(single, state)
        loaded = net.state_dict()
        assert all(torch.equal(tensor, loaded[name]) for name, tensor in single.state_dict().items())


def test_pair_in_torchvisions_names_without_wrapping() -> None:
    pair, states = small_pair(), [published_state(small()) for _ in range(2)]
    load_published_deeplab_pair(pair, {"network1": states[0], "network2": released(states[1])})
    assert torch.equal(pair.network1.head.branches[1].bias, states[0]["aspp.c1.bias"])
    assert torch.equal(pair.network2.trunk.network.bn1.weight, states[1]["bn1.weight"])


def test_pair_is_unchanged_when_one_network_does_not_fit() -> None:
    pair, state = small_pair(), released(published_state(small()))
    before = {name: tensor.clone() for name, tensor in pair.state_dict().items()}
    damaged = {name: tensor for name, tensor in state.items() if name != "backbone.layer1.0.bn1.bias"}
    with pytest.raises(WeightsError, match=r"1 missing \(network2.backbone.layer1.0.bn1.bias\)"):
        load_published_deeplab_pair(pair, {"net_state_dict": {"network1": state, "network2": damaged}})
    assert all(torch.equal(tensor, before[name]) for name, tensor in pair.state_dict().items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"net_state_dict": {"network1": {}}}, "no 'network2'. Did you mean 'network1'"),
        ({"aspp.c0.bias": torch.zeros(3)}, "no 'network1'. Give the checkpoint of a co-trained pair"),
        ({"net_state_dict": 3}, "no 'network1'. Give the checkpoint of a co-trained pair"),
        ({"network1": {"a": 1}, "network2": {"b": [2]}}, "missing"),
    ],
    ids=["one of two", "a single network", "a number", "no tensors"],
)
def test_what_is_no_pair_is_refused(content: dict[str, object], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load_published_deeplab_pair(small_pair(), content)
