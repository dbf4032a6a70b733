from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ktse.artifacts import RunDirectory
from ktse.config import RuntimeSettings
from ktse.engine.fabric import make_fabric
from ktse.engine.image_stage import run_image_stage
from ktse.errors import DataError, StoppedError

IDS = [f"folder/{number}" for number in range(5)]


class Writer:
    """Writes an empty file for each image and remembers which."""

    def __init__(self, run: RunDirectory, *, fail_at: int | None = None, signal_at: int | None = None) -> None:
        self.run, self.fail_at, self.signal_at, self.done = run, fail_at, signal_at, []

    def __call__(self, todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        for index in todo:
            if index == self.fail_at:
                raise ValueError("broken image")
            if index == self.signal_at:
                os.kill(os.getpid(), signal.SIGTERM)
            path = self.run.cams(IDS[index])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            self.done.append(index)
            report(1)
        return []


def work(run: RunDirectory, key: str = "k", **changes: Any) -> list[int]:
    writer = Writer(run, **changes)
    try:
        run_image_stage("cams", key, IDS, writer, run=run, fabric=make_fabric(RuntimeSettings(accelerator="cpu")))
    finally:
        run.written = writer.done  # type: ignore[attr-defined]
    return writer.done


def events(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.log().read_text().splitlines()]


def test_all_images_once_and_never_again(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert work(run) == [0, 1, 2, 3, 4]
    assert work(run) == []
    assert run.stage("cams").is_done("k")
    assert [(e["event"], e["images"], e["kept"]) for e in events(run)] == [("finished", 5, 0)]


def test_after_an_error_only_the_rest_is_done(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(ValueError, match="broken image"):
        work(run, fail_at=3)
    assert not run.stage("cams").is_done("k")
    assert work(run) == [3, 4]
    assert events(run)[-1]["kept"] == 3


def test_a_file_that_was_deleted_is_made_again_and_the_others_stay(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    work(run)
    run.cams(IDS[2]).unlink()
    assert work(run) == [2]
    assert run.stage("cams").is_done("k", ids=IDS)
    assert [event["event"] for event in events(run)] == ["finished", "finished"], "nothing was stale"


def test_a_signal_stops_after_the_image_that_is_going_on(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(StoppedError, match="cams stopped"):
        work(run, signal_at=1)
    assert run.written == [0, 1]  # type: ignore[attr-defined]
    assert work(run) == [2, 3, 4]


def test_another_key_makes_everything_anew_and_says_so(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    work(run)
    assert work(run, key="other") == [0, 1, 2, 3, 4]
    assert [event["stage"] for event in events(run) if event["event"] == "stale"] == ["cams"]
