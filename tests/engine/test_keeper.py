from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ktse.config import RuntimeSettings
from ktse.engine.checkpoint import Place
from ktse.engine.fabric import make_fabric
from ktse.engine.keeper import Keeper

FABRIC = make_fabric(RuntimeSettings(accelerator="cpu"))


def keeper(folder: Path, interval: float = 0.0) -> Keeper:
    return Keeper(folder / "resume.safetensors", interval=interval, key="k", fabric=FABRIC)


def network() -> tuple[nn.Linear, torch.optim.Optimizer]:
    line = nn.Linear(2, 1)
    return line, torch.optim.SGD(line.parameters(), lr=0.1)


def test_what_was_written_is_gone_on_with(tmp_path: Path) -> None:
    first, optimizer = network()
    before = keeper(tmp_path)
    assert before.load(first, optimizer) == Place()
    assert str(before) == "There is no checkpoint from before."
    assert before.write(first, optimizer, Place(2, 3, 11))
    other, optimizer = network()
    after = keeper(tmp_path)
    assert after.load(other, optimizer) == Place(2, 3, 11)
    assert torch.equal(first.weight, other.weight)
    path = tmp_path / "resume.safetensors"
    assert str(before) == str(after) == f"The last good checkpoint is '{path}', 11 steps into the training."


def test_a_lost_network_does_not_replace_a_good_one(tmp_path: Path) -> None:
    good, optimizer = network()
    keeping = keeper(tmp_path)
    keeping.write(good, optimizer, Place(0, 1, 1))
    weight = good.weight.detach().clone()
    with torch.no_grad():
        good.weight[0, 0] = torch.inf
    assert not keeping.write(good, optimizer, Place(0, 2, 2))
    assert keeping.load(good, optimizer) == Place(0, 1, 1)
    assert torch.equal(good.weight, weight)


def test_it_is_due_when_the_interval_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    keeping = keeper(tmp_path, interval=60.0)
    for now, due in ((159.9, False), (160.0, True), (500.0, True)):  # noqa: B007 (the clock reads it)
        assert keeping.is_due is due
    keeping.write(*network(), Place())
    assert not keeping.is_due
    now = 560.0
    assert keeping.is_due
