"""What has to stand beside a measured figure: command, commit, machine, date."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

from ktse.artifacts import describe_machine, git_commit


def provenance(benchmark: str) -> dict[str, object]:
    """Return command, commit, machine and date of a measurement.

    Args:
        benchmark: Its name.
    """
    return {
        "benchmark": benchmark,
        "command": shlex.join(["python", *map(without_place, sys.argv)]),
        "commit": git_commit(),
        "machine": describe_machine(),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def without_place(argument: str) -> str:
    """Return an argument of the command line as others can use it: of an absolute path only the name."""
    return Path(argument).name if Path(argument).is_absolute() else argument
