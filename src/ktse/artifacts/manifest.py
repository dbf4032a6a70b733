"""With what, where and when a run was made."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ktse.artifacts.files import read_json, write_json
from ktse.artifacts.run_directory import STAGES, RunDirectory
from ktse.artifacts.stage import STATE_FILE


def write_manifest(run: RunDirectory, *, recipe_name: str, device: str = "cpu", processes: int = 1) -> None:
    """Write `manifest.json`: versions, commit, command, machine, and the stages with their keys.

    Written at the start of a run and again at its end; the time of the first start stays. First process only.

    Args:
        run: The run; the states of its stages are read from disk.
        recipe_name: Name of the recipe.
        device: Device in words, e.g. `cpu` or the name of the GPU.
        processes: Number of processes.
    """
    started = read_json(run.manifest).get("started") if run.manifest.is_file() else None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    states = {name: run.stage(name).folder / STATE_FILE for name in STAGES}
    write_json(
        run.manifest,
        {
            "recipe": recipe_name,
            "command": sys.argv,
            "commit": git_commit(),
            "versions": versions(),
            "machine": describe_machine(device, processes),
            "started": started or now,
            "written": now,
            "stages": {name: read_json(path) for name, path in states.items() if path.is_file()},
        },
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    packages = ("ktse", "torch", "torchvision", "timm", "numpy", "pillow")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def describe_machine(device: str = "cpu", processes: int = 1) -> dict[str, Any]:
    """Return what a figure needs beside it: platform, cores, device, processes, threads of each process on the CPU.

    The threads decide in which order sums are made, and the last digits of a sum can decide where a training ends.

    Example:
        >>> sorted(describe_machine())
        ['cores', 'device', 'platform', 'processes', 'threads']
    """
    import torch  # heavy: what only reads a run directory does without it

    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": device,
        "processes": processes,
        "threads": torch.get_num_threads(),
    }


def git_commit() -> str | None:
    """Return the commit of the checkout that this package runs from, with `+changes` when files differ from it.

    What differs in `results/` does not count: no code is there, and a benchmark that writes its file would call itself
    changed.

    None when the package is installed elsewhere, or git is not there.
    """
    checkout = Path(__file__).resolve().parents[3]
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists() or not (checkout / "src" / "ktse").is_dir():
        return None
    commit = _output(git, checkout, "rev-parse", "HEAD")
    if commit is None:
        return None
    status = ["status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results"]
    return f"{commit}+changes" if _output(git, checkout, *status) else commit


def _output(git: str, folder: Path, *arguments: str) -> str | None:
    """Return what a git command prints, or None when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 (fixed arguments, no shell)
            [git, "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
