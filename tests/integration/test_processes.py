"""Two processes do what one does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from integration.conftest import finish, start
from ktse.artifacts import RunDirectory, read_cams
from ktse.config import Recipe
from ktse.data.image_io import read_label_map
from ktse.data.shapes import Shapes
from ktse.pipeline import run_recipe

INFERENCE = ["cams", "masks"]


@pytest.fixture(scope="module")
def runs(tiny: Recipe, tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunDirectory]:
    """One run of a single process, and one that two processes made of nothing but its trained localizer."""
    folder = tmp_path_factory.mktemp("runs")
    one, two = RunDirectory(folder / "one"), RunDirectory(folder / "two")
    run_recipe(tiny, data=None, out=one.root, stages=["localizer", *INFERENCE, "segmenter", "predictions", "scores"])
    shutil.copytree(one.localizer, two.localizer)
    shutil.copytree(one.segmenter, folder / "segmenter")
    code, _, err = finish(start("run", tiny_file, "--out", two.root, torchrun=2))
    assert "error:" not in err, err[-2000:]
    assert two.scores.is_file(), f"exit code {code}: {err[-2000:]}"
    return one, two


def test_inference_writes_the_same(runs: tuple[RunDirectory, RunDirectory]) -> None:
    one, two = runs
    for id_ in Shapes("train", count=16).ids:
        a, b = read_cams(one.cams(id_)), read_cams(two.cams(id_))
        assert a.present.tolist() == b.present.tolist()
        np.testing.assert_allclose(np.float32(a.scores), np.float32(b.scores), atol=1e-3)
        for kind in ("seed", "mask"):
            np.testing.assert_array_equal(*(read_label_map(getattr(run, kind)(id_)) for run in runs))


def test_every_process_wrote_some_of_each(runs: tuple[RunDirectory, RunDirectory]) -> None:
    two = runs[1]
    for rank in (0, 1):
        events = [json.loads(line) for line in two.log(rank).read_text().splitlines()]
        done = {event["stage"]: event["images"] for event in events if event.get("event") == "finished"}
        assert done == {"cams": 8, "seeds": 8, "masks": 8, "predictions": 3}


def test_matrices_of_all_processes_are_summed(runs: tuple[RunDirectory, RunDirectory]) -> None:
    one, two = (json.loads(run.scores.read_text())["scores"] for run in runs)
    for a, b in zip(one[:3], two[:3], strict=True):
        assert a["matrix"] == b["matrix"]
        assert b["protocol"]["images"] == 16


def test_training_is_shared_too(tiny_file: Path, tmp_path: Path) -> None:
    """Two processes train one network: half of each batch each, over the epoch in which normalisation freezes."""
    run = RunDirectory(tmp_path / "run")
    _, out, err = finish(start("train", "localizer", run.root, "--recipe", tiny_file, torchrun=2))
    assert run.stage("localizer").is_done(run.stage("localizer").key or ""), err[-2000:]
    steps = [json.loads(line) for line in run.log().read_text().splitlines()]
    assert len(steps) == 12
    assert all(np.isfinite(step["losses"]["total"]) for step in steps)
    assert out.count("localizer:") == 1, "only the first process speaks"
