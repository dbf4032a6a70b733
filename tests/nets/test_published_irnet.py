from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.errors import WeightsError
from ktse.nets.irnet import IRNet, build_irnet, edges_of_image
from ktse.nets.published_irnet import load_published_irnet
from reference.weights_by_formula import state_of

VECTORS = Path(__file__).parents[1] / "reference" / "vectors"


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    with np.load(VECTORS / "irnet.npz", allow_pickle=False) as vectors:
        return state_of(vectors)


@pytest.fixture(scope="module")
def net(state: dict[str, Tensor]) -> IRNet:
    net = build_irnet("resnet50").eval()
    load_published_irnet(net, state)
    return net


def test_published_forward(net: IRNet) -> None:
    with np.load(VECTORS / "irnet.npz", allow_pickle=False) as vectors, torch.inference_mode():
        edge_logits, displacement = net(torch.from_numpy(vectors["image"]))
        torch.testing.assert_close(edge_logits, torch.from_numpy(vectors["edge_logits"]), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(displacement, torch.from_numpy(vectors["displacement"]), rtol=1e-4, atol=1e-5)


def test_published_inference(net: IRNet) -> None:
    with np.load(VECTORS / "irnet_inference.npz", allow_pickle=False) as vectors:
        image, mirrored = torch.from_numpy(vectors["image_and_flip"])
        assert torch.equal(mirrored, image.flip(-1))
        edge, displacement = edges_of_image(net, image, canvas=int(vectors["crop_size"]))
        torch.testing.assert_close(edge, torch.from_numpy(vectors["edge"]), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(displacement, torch.from_numpy(vectors["displacement"]), rtol=1e-4, atol=1e-5)


def test_aliases_classifier_and_counters_are_accepted_and_unused(net: IRNet, state: dict[str, Tensor]) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    extra = {
        "stage1.0.weight": torch.zeros(1),
        "stage5.0.2.bn3.bias": torch.zeros(1),
        "fc_dp7.4.running_mean": torch.zeros(2),
        "resnet50.fc.bias": torch.zeros(1000),
        "resnet50.bn1.num_batches_tracked": torch.tensor(0),
    }
    load_published_irnet(net, state | extra)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc_edge6.bias": None}, r"1 missing \(fc_edge6.bias\)"),
        ({"fc_edge7.weight": torch.zeros(1)}, r"1 unknown \(fc_edge7.weight\)"),
        ({"mean_shift.running_mean": torch.zeros(3)}, r"misfitting \(mean_shift.running_mean: \(3,\)"),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_other_networks_are_refused(
    net: IRNet, state: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    changed = {name: value for name, value in (state | change).items() if value is not None}
    with pytest.raises(WeightsError, match=message):
        load_published_irnet(net, changed)
