from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ktse.config import RuntimeSettings
from ktse.engine.fabric import check_precision, joined, make_fabric, shard
from ktse.errors import InputError, RecipeError


def test_one_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    fabric = make_fabric(RuntimeSettings(accelerator="cpu"))
    assert (fabric.world_size, fabric.global_rank, fabric.device.type) == (1, 0, "cpu")


@pytest.mark.parametrize("gpus", [0, 1])
def test_devices_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    """Two processes ask for two of them."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("lightning_fabric.accelerators.cuda.num_cuda_devices", lambda: gpus)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"accelerator=cuda asks for 2 device\(s\).*Set runtime\.accelerator to"):
        make_fabric(RuntimeSettings(accelerator="cuda"))


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


@pytest.mark.parametrize(
    ("precision", "device", "refused"),
    [("16-mixed", "cpu", True), ("16-mixed", "cuda", False), ("bf16-mixed", "cpu", False), ("32-true", "cpu", False)],
)
def test_float16_on_a_cpu_is_refused_not_replaced(precision: Any, device: str, refused: bool) -> None:
    fabric: Any = SimpleNamespace(device=SimpleNamespace(type=device))
    with pytest.raises(RecipeError, match="16-mixed") if refused else nullcontext():
        check_precision(RuntimeSettings(precision=precision), fabric)
