from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ktse.engine.network_file import read_network, write_network
from ktse.errors import WeightsError


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    network, copy = nn.Linear(3, 2), nn.Linear(3, 2)
    write_network(tmp_path / "n.safetensors", network, {"classes": ["cat", "dog"], "key": "x"})
    assert read_network(tmp_path / "n.safetensors", copy) == {"classes": ["cat", "dog"], "key": "x"}
    assert torch.equal(network.weight, copy.weight)


def test_missing_damaged_and_foreign_files_have_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no trained network"):
        read_network(tmp_path / "none.safetensors", nn.Linear(3, 2))
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(WeightsError, match="not a readable network"):
        read_network(tmp_path / "bad.safetensors", nn.Linear(3, 2))
    write_network(tmp_path / "n.safetensors", nn.Linear(3, 2), {})
    with pytest.raises(WeightsError, match="another network"):
        read_network(tmp_path / "n.safetensors", nn.Linear(4, 2))
