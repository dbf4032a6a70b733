"""The localizer against what the published network computes from the same weights and images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.nets.gpp import GatedPyramidPooling
from ktse.nets.localizer import Localizer, build_localizer
from ktse.nets.trunk import Trunk
from ktse.nets.weights import load_published_localizer
from reference.weights_by_formula import state_of

VECTORS = Path(__file__).parent / "vectors"


def sine(shape: tuple[int, ...], a: float, b: float) -> Tensor:
    """The tensor S of REFERENCE, appendix A."""
    flat = np.sin(a * np.arange(np.prod(shape)) + b)
    return torch.from_numpy(flat.reshape(shape).astype(np.float32))


class Features(Trunk):
    """A trunk that is given its features in the images' place."""

    channels = 12
    stride = 8

    def forward(self, images: Tensor) -> Tensor:
        return images


def test_appendix_a1() -> None:
    pooling = GatedPyramidPooling(20)
    names = [f"gconv{number}.att_{sign}.0.weight" for number in (1, 2, 3) for sign in "pn"]
    pooling.load_state_dict({name: 0.2 * sine((2, 40, 3, 3), 0.11 * i, 0) for i, name in enumerate(names, start=1)})
    with torch.inference_mode():
        logits, gated = pooling(2 * sine((2, 21, 12, 10), 0.37, 0.1)[:, 1:])
    first = torch.tensor([-0.1224492, -0.1178703, -0.0995046, -0.0632816, -0.0108623, 0.0446010])
    second = torch.tensor([-0.1350414, -0.1450550, -0.1396185, -0.1133899, -0.0660127, -0.0062977])
    torch.testing.assert_close(logits[0, :6], first, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits[1, :6], second, rtol=1e-5, atol=1e-6)
    assert logits.sum().item() == pytest.approx(-1.3992662, rel=1e-5)
    assert gated.sum().item() == pytest.approx(-101.14756, rel=1e-5)
    assert gated.abs().sum().item() == pytest.approx(949.90687, rel=1e-5)
    assert gated[0, 3, 5, 4].item() == pytest.approx(0.1010409, rel=1e-5)


def test_head() -> None:
    net = Localizer(Features(), num_classes=20)
    with np.load(VECTORS / "head.npz", allow_pickle=False) as vectors:
        state = {name.removeprefix("param/"): torch.from_numpy(vectors[name]) for name in vectors if "param/" in name}
        load_published_localizer(net, state)
        with torch.inference_mode():
            output = net(torch.from_numpy(vectors["features"]))
        ours = {
            "cam_seg": output.cam_with_background,
            "cam": output.cam,
            "gated": output.gated,
            "logits": output.logits,
        }
        for name, tensor in ours.items():
            torch.testing.assert_close(tensor, torch.from_numpy(vectors[name]), rtol=1e-4, atol=1e-5, msg=name)


@pytest.fixture(scope="module")
def vectors() -> Iterator[dict[str, NDArray[Any]]]:
    with np.load(VECTORS / "resnet38.npz", allow_pickle=False) as file:
        yield dict(file)


@pytest.fixture(scope="module")
def published(vectors: dict[str, NDArray[Any]]) -> Localizer:
    """The whole network at full width, 106 M weights made from their names."""
    with torch.device("meta"):  # an initialisation that is overwritten would cost seconds
        net = build_localizer("resnet38d", num_classes=20)
    net.to_empty(device="cpu")
    load_published_localizer(net, state_of(vectors))
    return net.eval()


def test_the_files_names_are_ours(vectors: dict[str, NDArray[Any]]) -> None:
    """203 entries and 38 counters: the 241 of REFERENCE 1.4."""
    norms = [name for name in vectors["names"] if name.endswith("running_var")]
    assert len(vectors["names"]) + len(norms) == 241


def test_whole_network(vectors: dict[str, NDArray[Any]], published: Localizer) -> None:
    """Values are large (mean |cam| about 128), so relative to the largest."""
    with torch.inference_mode():
        output = published(torch.from_numpy(vectors["image"]))
    ours = {"cam_with_background": output.cam_with_background, "gated": output.gated, "logits": output.logits}
    for name, tensor in ours.items():
        expected = torch.from_numpy(vectors[name])
        torch.testing.assert_close(tensor, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item(), msg=name)
