from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ktse.errors import WeightsError
from ktse.nets.demo_trunk import DemoTrunk, PreActivationBlock, load_demo_weights, packaged_demo_weights

# A 3x3 convolution of dilation d on a grid of j px adds 2dj: the stem 2, then two in a block, of which the first of the
# second stage still works on the finer grid.
RECEPTIVE_FIELD = 1 + 2 + (4 + 4) + (4 + 3 * 8) + 2 * 16


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47), (1, 4)], ids=["even", "odd", "tiny"])
def test_output_grid(height: int, width: int) -> None:
    trunk = DemoTrunk().eval()
    features = trunk(torch.randn(2, 3, height, width))
    assert features.shape == (2, trunk.channels, -(-height // 4), -(-width // 4))
    assert trunk.stride == 4
    assert features.min() == 0


def test_about_a_fifth_of_a_million_parameters() -> None:
    assert 0.15e6 < sum(parameter.numel() for parameter in DemoTrunk().parameters()) < 0.3e6


def test_every_parameter_learns() -> None:
    trunk = DemoTrunk()
    trunk(torch.randn(2, 3, 24, 24)).square().mean().backward()
    silent = [name for name, parameter in trunk.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert silent == []


def test_block_of_zero_convolutions_is_the_identity() -> None:
    block = PreActivationBlock(4, 4, stride=1, dilation=2)
    torch.nn.init.zeros_(block.conv2.weight)
    features = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(block(features), features)


def test_a_cell_sees_a_part_of_the_image_only() -> None:
    trunk = DemoTrunk().eval()
    images = torch.randn(1, 3, 160, 160, requires_grad=True)
    trunk(images)[0, :, 20, 20].sum().backward()
    rows = images.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    assert rows.max() - rows.min() + 1 == RECEPTIVE_FIELD


def test_packaged_weights_are_those_described() -> None:
    path = packaged_demo_weights()
    described = json.loads(path.with_suffix(".json").read_text())
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == described["sha256"]
    assert len(data) < 1_000_000
    assert described["accuracy"] > 0.9


def test_packaged_weights_load() -> None:
    trunk = DemoTrunk()
    before = trunk.stem.weight.clone()
    load_demo_weights(trunk)
    assert not torch.equal(trunk.stem.weight, before)
    assert all(value.isfinite().all() for value in trunk.state_dict().values())
    assert trunk.bn.running_var.std() > 0  # has seen images


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent"):
        load_demo_weights(DemoTrunk(), tmp_path / "absent.safetensors")


def test_weights_of_another_network(tmp_path: Path) -> None:
    save_file({"stem.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        load_demo_weights(DemoTrunk(), tmp_path / "other.safetensors")
