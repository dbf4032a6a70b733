"""What has to stand beside a measured figure: command, commit, machine, date."""

from __future__ import annotations

import shlex
import sys
import time

from ktse.artifacts import describe_machine, git_commit


def provenance(benchmark: str) -> dict[str, object]:
    """Return command, commit, machine and date of a measurement.

    Args:
        benchmark: Its name.
    """
    return {
        "benchmark": benchmark,
        "command": shlex.join(["python", *sys.argv]),
        "commit": git_commit(),
        "machine": describe_machine(),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
    }
