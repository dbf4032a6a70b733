"""Refinement with IRN and CRF on a few drawings, from tags to scores: its stages meet in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.image_io import read_confidence, read_label_map
from ktse.data.shapes import Shapes
from ktse.pipeline import run_recipe

STAGES = ("localizer", "cams", "masks", "scores", "report")
COUNT = 6
SETTINGS = {
    "data": {"shapes_train": COUNT},
    "localization": {"warm_up_epochs": 1, "epochs": 1},
    "refinement": {
        "steps": ("irn", "crf"),
        "crf": {"iterations": 3},
        "irn": {
            "trunk": "demo",
            "trunk_weights": "demo",
            "path_radius": 5,
            "crop_size": 96,
            "canvas": 96,
            "batch_size": 4,
            "epochs": 1,
        },
    },
}


@pytest.fixture(scope="module")
def recipe(tiny: Recipe) -> Recipe:
    return replace(tiny, **SETTINGS)


@pytest.fixture(scope="module")
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = RunDirectory(tmp_path_factory.mktemp("runs") / "irn")
    run_recipe(recipe, data=None, out=run.root, stages=STAGES)
    return run


def stamps(run: RunDirectory) -> dict[Path, int]:
    made = [path for path in run.root.rglob("*") if path.suffix in {".npz", ".png", ".safetensors"}]
    return {path: path.stat().st_mtime_ns for path in made}


def test_every_image_has_what_each_step_makes(run: RunDirectory) -> None:
    data = Shapes("train", count=COUNT)
    for index, id_ in enumerate(data.ids):
        allowed = {0, *(np.flatnonzero(data.tags[index]) + 1)}
        for path in (run.step_mask(1, "irn", id_), run.mask(id_)):
            labels = read_label_map(path)
            assert labels.shape == data.image(index).shape[:2]
            assert set(np.unique(labels)) <= allowed, "only classes that the tags name"
        assert set(np.unique(read_label_map(run.ir_label(id_)))) <= allowed | {255}
        trusted = read_confidence(run.confidence(id_))
        for label in np.unique(labels):
            assert trusted[labels == label].sum() == (labels == label).sum() // 2
    assert (run.irnet / "last.safetensors").is_file()


def test_every_step_has_its_score(run: RunDirectory) -> None:
    scores = json.loads(run.scores.read_text())["scores"]
    assert [score["stage"] for score in scores] == ["seeds", "seeds", "ir_labels", "steps", "masks"]
    _, _, labels, walked, masks = scores
    assert [score["protocol"]["refinement"] for score in (labels, walked, masks)] == [None, ["irn"], ["irn", "crf"]]
    assert walked["protocol"]["threshold"] == masks["protocol"]["threshold"] == 0.25
    assert masks["trusted_share"] == pytest.approx(50, abs=0.5)
    assert 0 < labels["trusted_share"] < 100
    for score in (labels, masks):
        assert 0 < score["trusted_accuracy"] <= 100
    page = run.report.read_text()
    assert all(title in page for title in ("IR labels", "after IRN", "pseudo masks", "trusted correct"))


def test_only_what_depends_on_a_setting_is_made_anew(run: RunDirectory, recipe: Recipe) -> None:
    before = stamps(run)
    run_recipe(recipe, data=None, out=run.root, stages=STAGES)
    assert stamps(run) == before
    changed = replace(recipe, refinement={"irn": {"walk_steps": 64}})
    run_recipe(changed, data=None, out=run.root, stages=["masks"])
    touched = {path for path, time in stamps(run).items() if before[path] != time}
    folders = {path.relative_to(run.root).parts[0] for path in touched}
    assert folders == {"masks", "confidence", "steps"}
