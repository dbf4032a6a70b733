from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ktse.engine.checkpoint import Place, load_checkpoint, save_checkpoint
from ktse.errors import WeightsError


def _trained(steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for step in range(steps):
        _step(network, optimizer, step)
    return network, optimizer


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    inputs = torch.linspace(-1, 1, 24).reshape(8, 3) * (step + 1)
    optimizer.zero_grad()
    network(inputs).square().mean().backward()
    optimizer.step()


def test_going_on_equals_never_having_stopped(tmp_path: Path) -> None:
    whole, _ = _trained(6)
    network, optimizer = _trained(3)
    save_checkpoint(tmp_path / "c.safetensors", network, optimizer, Place(0, 3, 3), key="k")
    fresh, fresh_optimizer = _trained(0)
    place = load_checkpoint(tmp_path / "c.safetensors", fresh, fresh_optimizer, key="k")
    assert place == Place(0, 3, 3)
    for step in range(3, 6):
        _step(fresh, fresh_optimizer, step)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name]), name


def test_checkpoint_of_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    network, optimizer = _trained(1)
    save_checkpoint(tmp_path / "c.safetensors", network, optimizer, Place(0, 1, 1), key="old")
    assert load_checkpoint(tmp_path / "c.safetensors", network, optimizer, key="new") is None
    assert load_checkpoint(tmp_path / "none.safetensors", network, optimizer, key="new") is None


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, b"not a checkpoint at all"], ids=["empty", "huge header", "text"]
)
def test_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    network, optimizer = _trained(0)
    with pytest.raises(WeightsError, match=r"c\.safetensors"):
        load_checkpoint(path, network, optimizer, key="k")


def test_other_network_is_refused(tmp_path: Path) -> None:
    network, optimizer = _trained(1)
    save_checkpoint(tmp_path / "c.safetensors", network, optimizer, Place(), key="k")
    other = nn.Linear(3, 4)
    with pytest.raises(WeightsError, match="another network"):
        load_checkpoint(tmp_path / "c.safetensors", other, torch.optim.SGD(other.parameters(), lr=0.1), key="k")
