"""Stopped in every way and started again: what was done is kept."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import finish, start
from ktse.artifacts import RunDirectory


def log(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.log().read_text().splitlines()] if run.log().exists() else []


def steps(run: RunDirectory) -> list[tuple[int, int]]:
    return [(line["epoch"], line["step"]) for line in log(run) if "losses" in line and line["stage"] == "localizer"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 3), (signal.SIGTERM, 3), (signal.SIGKILL, -9)],
    ids=["Ctrl-C", "SIGTERM", "kill -9"],
)
def test_goes_on_at_the_next_step(tiny_file: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    run = RunDirectory(tmp_path / "run")
    process = start("run", tiny_file, "--out", run.root)
    deadline = time.monotonic() + 240
    while len(steps(run)) < 6 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    returned, _, err = finish(process)
    assert returned == code, err
    if code == 3:
        assert "Run the same command again" in err
        assert "Traceback" not in err
    done = steps(run)
    assert 6 <= len(done) < 12, "stopped in the middle"
    returned, _, err = finish(start("train", "localizer", run.root, "--recipe", tiny_file))
    assert returned == 0, err
    resumed = next(line for line in log(run) if line.get("event") == "resumed")
    assert resumed["kept_steps"] >= len(done) - 1, "at most the step that was going on is lost"
    assert resumed["step"] > 0 or resumed["kept_steps"] % 4 == 0
    assert set(steps(run)) == {(epoch, step) for epoch in range(3) for step in range(4)}
    assert len(steps(run)) <= 13, "nothing was done twice but the step that was going on"


def test_two_runs_in_one_directory_are_refused(tiny_file: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.lock():
        code, _, err = finish(start("run", tiny_file, "--out", run.root))
    assert code == 2
    assert "another process writes" in err
    assert "Traceback" not in err
