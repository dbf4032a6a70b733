"""Memory that this process uses, and how much the machine has, as the system and the GPU say it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_PROCESS = Path("/proc/self")
_RESET_PEAK = "5"  # what Linux takes as the order to forget the peak (proc(5), clear_refs)
_LIMIT_OF_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def memory_of_machine(device: torch.device) -> int | None:
    """Return the bytes of memory that a device has; of a container, what it is allowed. None where nobody says it.

    Example:
        >>> memory_of_machine(torch.device("meta")) is None
        True
    """
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type != "cpu" or not hasattr(os, "sysconf"):
        return None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or one without a limit
        memory = min(memory, int(_LIMIT_OF_CONTAINER.read_text()))
    return memory


def memory_in_use(device: torch.device) -> int | None:
    """Return the bytes of memory that this process has now; None where nobody says it."""
    if device.type == "cuda":
        return int(torch.cuda.memory_reserved(device))
    return _of_process("VmRSS") if device.type == "cpu" else None


@contextmanager
def watched_memory(device: torch.device) -> Iterator[Callable[[], int | None]]:
    """Watch the memory that this process has at most, all that it has besides included.

    Where the system cannot forget an earlier peak, it is the largest since the process began.

    Args:
        device: Whose memory.

    Yields:
        A function that returns the bytes of the peak so far; None where nobody says it.

    Example:
        >>> with watched_memory(torch.device("meta")) as peak:
        ...     peak() is None
        True
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: int(torch.cuda.max_memory_reserved(device))
    elif device.type == "cpu":
        _return_freed_memory()
        with suppress(OSError):
            (_PROCESS / "clear_refs").write_text(_RESET_PEAK)
        yield lambda: _of_process("VmHWM")
    else:
        yield lambda: None


def _return_freed_memory() -> None:
    """Let the C library give back what it keeps of freed memory, which would be counted for work to come."""
    with suppress(OSError, AttributeError, TypeError):  # another C library than that of GNU
        ctypes.CDLL(None).malloc_trim(0)


def _of_process(name: str) -> int | None:
    """Return a line of what Linux says of this process, in bytes; elsewhere the peak, whatever is asked."""
    with suppress(OSError):
        for line in (_PROCESS / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
