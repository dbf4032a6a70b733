from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch

from ktse.data.image_sizes import ImageSizes
from ktse.engine import cost
from ktse.engine.cost import (
    Measured,
    StageCost,
    measured,
    measured_images,
    measured_or_scaled,
    scaled_memory,
    total_cost,
)
from ktse.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Put a clock in place that goes on by what it is told to."""
    now = {"time": 0.0}
    monkeypatch.setattr(cost, "_now", lambda device: now["time"])
    return now


@pytest.mark.parametrize(("first", "second", "done", "seconds"), [(4.0, 2.0, 2, 2.0), (6.0, 2.0, 1, 6.0)])
def test_quick_work_is_done_twice_and_the_second_time_counts(
    clock: dict[str, float], first: float, second: float, done: int, seconds: float
) -> None:
    takes = iter([first, second])
    calls = []

    def work() -> None:
        calls.append(1)
        clock["time"] += next(takes)

    assert measured(work, CPU, patience=10.0).seconds == seconds
    assert len(calls) == done


@contextmanager
def watched(peaks: Iterator[int], device: torch.device) -> Iterator[Callable[[], int]]:
    peak = next(peaks)
    yield lambda: peak


def test_the_larger_memory_of_both_times_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "watched_memory", partial(watched, iter([30, 20])))
    assert measured(lambda: None, CPU).memory == 30


@pytest.mark.parametrize(
    ("factor", "memory", "is_whole"),
    [(10.0, 10, True), (10.0, None, True), (11.0, 10, False), (10.0, 60, False)],
    ids=["soon", "memory unknown", "too long", "too much memory"],
)
def test_a_whole_piece_is_measured_where_time_and_memory_allow(
    clock: dict[str, float], monkeypatch: pytest.MonkeyPatch, factor: float, memory: int | None, is_whole: bool
) -> None:
    monkeypatch.setattr(cost, "memory_of_machine", lambda device: 100)

    def work() -> None:
        clock["time"] += 3.0

    whole = measured_or_scaled(work, Measured(1.0, 5), factor, CPU, memory=memory, patience=10.0)
    assert whole.is_whole == is_whole
    assert whole.seconds == (3.0 if is_whole else factor)
    if not is_whole:
        assert whole.memory == memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
    ids=["python", "cpu", "gpu"],
)
def test_a_full_memory_is_a_sentence(error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(InputError, match="more memory than there is"):
        measured(work, CPU)


def test_other_errors_stay_what_they_are() -> None:
    def work() -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        measured(work, CPU)


def test_memory_grows_above_what_was_there() -> None:
    assert scaled_memory(Measured(1.0, 50), 40, 3.0) == 70
    assert scaled_memory(Measured(1.0, 30), 40, 3.0) == 40
    assert scaled_memory(Measured(1.0, None), 40, 3.0) is None
    assert scaled_memory(Measured(1.0, 30), None, 3.0) is None


def test_time_of_the_typical_image_and_memory_of_the_largest(
    clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "memory_in_use", lambda device: 10)
    monkeypatch.setattr(cost, "memory_of_machine", lambda device: 10_000)
    monkeypatch.setattr(cost, "watched_memory", partial(watched, iter([30, 30, 55, 50])))
    sizes = ImageSizes(typical=4, largest=7, ratio=2.5)

    def work(index: int) -> None:
        clock["time"] += index

    assert measured_images(work, sizes, CPU) == Measured(4.0, 55)
    known = Measured(4.0, 30)
    scaled = measured_images(work, sizes, CPU, typical=known, before=10, patience=9.0)
    assert scaled == Measured(4.0, 10 + int(20 * 2.5))


def test_a_total_leaves_out_what_cannot_be_told() -> None:
    parts = [
        StageCost("a", 2, "steps", 3.0, 10, is_measured=False),
        StageCost("b", 0, "", None, None, trouble="why"),
        StageCost("c", 4, "images", 1.0, 30),
    ]
    assert total_cost("sum", parts) == StageCost("sum", 0, "", 4.0, 30, is_measured=False)
    assert total_cost("sum", parts[1:2]).memory is None
