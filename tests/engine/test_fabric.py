from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ktse.config import RuntimeSettings
from ktse.engine.fabric import joined, make_fabric, shard


def test_one_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    fabric = make_fabric(RuntimeSettings(accelerator="cpu"))
    assert (fabric.world_size, fabric.global_rank, fabric.device.type) == (1, 0, "cpu")


def test_processes_wait_for_each_other_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual half hour would end a run whose second process has the larger images."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("lightning_fabric.Fabric", lambda **wishes: SimpleNamespace(launch=lambda: None, **wishes))
    monkeypatch.setattr("lightning_fabric.strategies.ddp.DDPStrategy", lambda **wishes: SimpleNamespace(**wishes))
    fabric: Any = make_fabric(RuntimeSettings(accelerator="cpu"))
    assert fabric.strategy.timeout >= timedelta(days=1)
    assert (fabric.devices, fabric.num_nodes) == (2, 1)


def test_shards_are_a_partition() -> None:
    shares = [list(shard(10, SimpleNamespace(global_rank=rank, world_size=3))) for rank in range(3)]
    assert sorted(index for share in shares for index in share) == list(range(10))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_leaving_after_an_error_does_not_hang() -> None:
    with pytest.raises(ValueError, match="inside"), joined(RuntimeSettings(accelerator="cpu")):
        raise ValueError("inside")
