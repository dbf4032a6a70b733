"""What processes that train together have to agree on: losses, the time of a checkpoint, the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from integration.train_together import STEPS, train
from ktse.artifacts import read_log
from ktse.config import RuntimeSettings
from ktse.engine.fabric import make_fabric

CASES = ["well", "interval", "poison", "collapse"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what two processes did in each case."""
    root = tmp_path_factory.mktemp("together")
    script = Path(__file__).with_name("train_together.py")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        script,
        root,
        *CASES,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, capture_output=True, timeout=600, check=False)
    return root


def outcomes(folder: Path) -> list[str]:
    return [(folder / f"outcome{rank}.txt").read_text() for rank in (0, 1)]


def losses(folder: Path) -> list[float]:
    return [line["losses"]["squared"] for line in read_log(folder / "log.jsonl")]


def test_losses_are_means_over_the_processes(root: Path, tmp_path: Path) -> None:
    """Two processes log what one logs that takes its batch in two parts."""
    assert outcomes(root / "well") == ["finished", "finished"]
    assert train(tmp_path, "well", make_fabric(RuntimeSettings(accelerator="cpu")), micro_batches=2) == "finished"
    assert len(losses(tmp_path)) == 2 * STEPS
    assert losses(root / "well") == pytest.approx(losses(tmp_path), rel=1e-5)


def test_clocks_that_differ_keep_nobody_waiting(root: Path) -> None:
    assert outcomes(root / "interval") == ["finished", "finished"]
    assert losses(root / "interval") == losses(root / "well")


@pytest.mark.parametrize(
    ("case", "what", "steps"),
    [
        ("poison", "stopped after 5 steps (epoch 2 of 2): loss 'squared' is nan. The last good checkpoint", 5),
        ("collapse", "stopped after 6 steps (epoch 2 of 2): collapsed: the mean of 'size' over 2 steps is 0, ", 4),
    ],
)
def test_what_goes_wrong_in_one_process_stops_all_at_the_same_step(
    root: Path, case: str, what: str, steps: int
) -> None:
    first, second = outcomes(root / case)
    assert first == second
    assert what in first
    assert f"'{root / case / 'resume.safetensors'}', {steps} steps into the training." in first
