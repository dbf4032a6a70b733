from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.pipeline import run_recipe
from ktse.recipes import load_recipe

TINY = replace(
    load_recipe("demo"),
    name="tiny",
    data={"shapes_train": 16, "shapes_val": 6},
    localization={
        "crop_size": 48, "resize_range": (40, 56), "warm_up_epochs": 1, "epochs": 3, "warm_up_batch_size": 4,
        "batch_size": 4, "pairs": 2, "scales": (1.0,), "par_iterations": 2,
    },
    refinement={"par_iterations": 2},
    segmentation={"crop_size": 48, "epochs": 1, "batch_size": 4},
    evaluation={"baseline": False, "fully_supervised": False, "gallery": 3},
    runtime={"checkpoint_interval": 0.0, "inference_batch": 4},
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    return TINY


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY.model_dump(mode="json")))
    return path


@pytest.fixture(scope="session")
def finished(tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = RunDirectory(tmp_path_factory.mktemp("runs") / "tiny")
    run_recipe(replace(tiny, evaluation={"baseline": True, "fully_supervised": True}), data=None, out=run.root)
    return run


@pytest.fixture
def copied(finished: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A finished run that a test may spoil."""
    shutil.copytree(finished.root, tmp_path / "copied")
    return RunDirectory(tmp_path / "copied")


def start(*arguments: str | Path, torchrun: int = 0) -> subprocess.Popen[str]:
    """Start `ktse` as a process of its own, or as `torchrun` processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={torchrun}"] if torchrun else []
    command = [sys.executable, *launcher, "-m", "ktse", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, text=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[str], *, timeout: float = 300) -> tuple[int, str, str]:
    """Wait for a process and return exit code, standard output and standard error."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err
