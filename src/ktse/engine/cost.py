"""What a stage of a run takes on this machine: pieces of its work are done, timed, and multiplied.

Where a whole piece would take too long or too much memory, a part of it is measured and multiplied too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import torch

from ktse.data.image_sizes import ImageSizes
from ktse.engine.full_memory import enough_memory
from ktse.engine.memory import memory_in_use, memory_of_machine, watched_memory

PATIENCE: Final = 10.0
"""Seconds that a piece of work may be expected to take for it to be measured whole."""

_SHARE_OF_MEMORY: Final = 0.5  # that a piece may be expected to need for it to be measured whole


@dataclass(frozen=True, slots=True)
class Measured:
    """What a piece of work takes.

    Attributes:
        seconds: Its time.
        memory: Bytes that the process (or its GPU) has at most; None where nobody says it.
        is_whole: Whether the whole piece was done; else a part of it was, and multiplied.
    """

    seconds: float
    memory: int | None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class StageCost:
    """What a stage, or a part of it, takes on this machine.

    Attributes:
        stage: Its name.
        count: How many pieces it has.
        unit: What they are.
        seconds: Of all of them; None where it cannot be told.
        memory: Bytes that the process (or its GPU) has at most; None where it cannot be told.
        is_measured: Whether a whole piece was measured; else it was extrapolated from a part.
        trouble: Why nothing can be told; empty where it can.
    """

    stage: str
    count: int
    unit: Literal["steps", "images", ""]
    seconds: float | None
    memory: int | None
    is_measured: bool = True
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def total_cost(name: str, parts: Sequence[StageCost]) -> StageCost:
    """Return what several stages take one after the other: the sum of times, the largest memory.

    Example:
        >>> parts = [StageCost("a", 2, "steps", 3.0, 10), StageCost("b", 4, "images", 1.0, 30)]
        >>> total_cost("sum", parts)
        StageCost(stage='sum', count=0, unit='', seconds=4.0, memory=30, is_measured=True, trouble='')
    """
    known = [part.memory for part in parts if part.memory is not None]
    return StageCost(
        name,
        0,
        "",
        seconds=sum(part.seconds for part in parts if part.seconds is not None),
        memory=max(known, default=None),
        is_measured=all(part.is_measured for part in parts),
    )


def measured(work: Callable[[], object], device: torch.device, *, patience: float = PATIENCE) -> Measured:
    """Measure a piece of work: the second time where the first was quick, since the first also warms up the machine.

    Raises:
        InputError: There is not enough memory for it.

    Example:
        >>> measured(lambda: sum(range(10)), torch.device("cpu")).seconds < 1
        True
    """
    first = _done(work, device)
    if first.seconds > patience / 2:
        return first
    second = _done(work, device)
    return replace(second, memory=_larger(first.memory, second.memory))


def measured_or_scaled(
    work: Callable[[], object],
    part: Measured,
    factor: float,
    device: torch.device,
    *,
    memory: int | None = None,
    patience: float = PATIENCE,
) -> Measured:
    """Measure a piece of work, if it can be expected to be done soon and in the memory there is; else scale a part.

    Args:
        work: The whole piece.
        part: What a part of it takes.
        factor: How many times the time of the part the whole takes.
        device: Where.
        memory: Bytes that the process is expected to have for the whole; None where nobody says it.
        patience: Seconds that the whole may be expected to take.

    Raises:
        InputError: There is not enough memory for it.

    Example:
        >>> part = Measured(seconds=100.0, memory=None)
        >>> measured_or_scaled(print, part, 3.0, torch.device("cpu"))
        Measured(seconds=300.0, memory=None, is_whole=False)
    """
    limit = memory_of_machine(device)
    fits = memory is None or limit is None or memory <= _SHARE_OF_MEMORY * limit
    if fits and part.seconds * factor <= patience:
        return measured(work, device, patience=patience)
    return Measured(part.seconds * factor, memory, is_whole=False)


def scaled_memory(part: Measured, before: int | None, factor: float) -> int | None:
    """Return the memory of a piece of which a part is measured: what was there before does not grow.

    Example:
        >>> scaled_memory(Measured(1.0, memory=30), before=10, factor=4)
        90
    """
    if part.memory is None or before is None:
        return None
    return int(before + max(0, part.memory - before) * factor)


def measured_images(
    work: Callable[[int], object],
    sizes: ImageSizes,
    device: torch.device,
    *,
    typical: Measured | None = None,
    before: int | None = None,
    patience: float = PATIENCE,
) -> Measured:
    """Measure what is done with each image: the time of a typical one, and the memory of the largest.

    Args:
        work: What is done, with the index of the image.
        sizes: Which images these are.
        device: Where.
        typical: What the typical image takes, where it is known already.
        before: Bytes that the process had before it was known.
        patience: Seconds that the largest may be expected to take for it to be measured; else its memory is scaled.

    Raises:
        InputError: There is not enough memory for it.

    Example:
        >>> seen = []
        >>> _ = measured_images(seen.append, ImageSizes(typical=3, largest=5, ratio=2.0), torch.device("cpu"))
        >>> seen
        [3, 3, 5, 5]
    """
    if typical is None:
        before = memory_in_use(device)
        typical = measured(lambda: work(sizes.typical), device, patience=patience)
    if sizes.largest == sizes.typical:
        return typical
    expected = scaled_memory(typical, before, sizes.ratio)
    largest = measured_or_scaled(
        lambda: work(sizes.largest), typical, sizes.ratio, device, memory=expected, patience=patience
    )
    return replace(typical, memory=_larger(typical.memory, largest.memory))


def _done(work: Callable[[], object], device: torch.device) -> Measured:
    """Do a piece of work once."""
    with watched_memory(device) as peak, enough_memory():
        start = _now(device)
        work()
        return Measured(_now(device) - start, peak())


def _now(device: torch.device) -> float:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()


def _larger(one: int | None, other: int | None) -> int | None:
    return max((memory for memory in (one, other) if memory is not None), default=None)
