from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.errors import WeightsError
from ktse.nets.deeplab import DeepLab, build_deeplab
from ktse.nets.published_deeplab import load_published_deeplab
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
