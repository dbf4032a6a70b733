"""What processes that share images have to agree on: what is left, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ktse.artifacts import RunDirectory

CASES = ["rest", "foreign", "broken", "full"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what two processes did in each case."""
    root = tmp_path_factory.mktemp("together")
    script = Path(__file__).with_name("images_together.py")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, script, root, *CASES]
    subprocess.run(command, env=environment, capture_output=True, timeout=600, check=False)
    return root


def outcomes(folder: Path) -> list[str]:
    return [(folder / f"outcome{rank}.txt").read_text() for rank in (0, 1)]


def test_what_is_left_is_shared_evenly(root: Path) -> None:
    assert outcomes(root / "rest") == ["finished [1, 5]", "finished [3, 7]"]


def test_what_the_first_process_refuses_ends_all_alike(root: Path) -> None:
    first, second = outcomes(root / "foreign")
    assert first == second
    assert "holds 4 files of unknown origin" in first


def test_an_image_that_fails_in_one_process_is_told_by_all_when_the_others_are_done(root: Path) -> None:
    error = "1 of 8 images failed, the others are done. image '3' is broken."
    assert outcomes(root / "broken") == [f"DataError after {done}: {error}" for done in ([0, 2, 4, 6], [1, 5, 7])]
    assert RunDirectory(root / "broken").stage("cams").done_ids() == set("0124567")


def test_an_error_that_ends_one_process_ends_all(root: Path) -> None:
    error = "no space left."
    assert outcomes(root / "full") == [f"InputError after {done}: {error}" for done in ([0, 2, 4, 6], [1])]
