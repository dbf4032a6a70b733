from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from ktse.engine import memory
from ktse.engine.memory import memory_in_use, memory_of_machine, watched_memory

CPU = torch.device("cpu")
LARGE = 64 * 2**20
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has now")


def allocate(size: int) -> None:
    torch.zeros(size, dtype=torch.uint8)


@on_linux
def test_a_peak_is_seen_and_forgotten() -> None:
    peaks = []
    for size in (0, LARGE, 0):
        with watched_memory(CPU) as peak:  # which returns what earlier tests have freed
            allocate(size)
            peaks.append(peak())
    before, first, second = peaks
    assert before is not None
    assert first is not None
    assert second is not None
    assert first - before > 0.9 * LARGE
    assert second < first - 0.5 * LARGE


@on_linux
def test_the_machine_has_what_linux_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_LIMIT_OF_CONTAINER", tmp_path / "none")
    (total,) = (line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert memory_of_machine(CPU) == pytest.approx(int(total.split()[1]) * 1024, rel=0.01)


@pytest.mark.parametrize(("limit", "is_limited"), [("1048576\n", True), ("max\n", False)])
def test_a_container_may_have_less(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, is_limited: bool
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(memory, "_LIMIT_OF_CONTAINER", tmp_path / "memory.max")
    assert (memory_of_machine(CPU) == 2**20) == is_limited


def test_without_linux_there_is_the_peak_since_the_beginning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_PROCESS", tmp_path)
    with watched_memory(CPU) as peak:
        so_far = peak()
        assert so_far is not None
        assert so_far > 50 * 2**20  # torch alone is more
        monkeypatch.setattr(sys, "platform", "win32")
        assert peak() is None


def test_other_devices_say_nothing() -> None:
    meta = torch.device("meta")
    assert memory_of_machine(meta) is None
    assert memory_in_use(meta) is None
