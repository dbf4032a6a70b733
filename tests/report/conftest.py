"""A small run with every stage, written as the stages write it."""

from dataclasses import replace

import numpy as np
import pytest

from ktse.artifacts import RunDirectory, append_log, write_cams, write_manifest
from ktse.config import Recipe
from ktse.config import replace as replace_settings
from ktse.data.image_io import write_label_map
from ktse.data.shapes import Shapes
from ktse.evaluation.run import score_label_maps, score_seeds
from ktse.evaluation.score import write_scores
from ktse.types import CamSet

TRAIN_COUNT, VAL_COUNT = 6, 4


@pytest.fixture(scope="session")
def recipe():
    return replace_settings(
        Recipe(),
        name="test <recipe>",
        summary="A run for tests.",
        localization={"margin": 0.125},
        evaluation={"gallery": 6},
    )


@pytest.fixture(scope="session")
def splits():
    return Shapes("train", count=TRAIN_COUNT), Shapes("val", count=VAL_COUNT)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, recipe, splits):
    """A run of all stages, with the run of its baseline."""
    train, val = splits
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    for place in (run, baseline_of(run)):
        for index, id_ in enumerate(train.ids):
            write_cams(place.cams(id_), cams_of(train, index))
    for index, id_ in enumerate(train.ids):
        write_label_map(run.seed(id_), train.mask(index))
        write_label_map(run.mask(id_), train.mask(index))
    for index, id_ in enumerate(val.ids):
        write_label_map(run.prediction(id_), val.mask(index))
    for step in range(4):
        losses = {"total": 2.0 - step / 4, "classification": 1.0}
        append_log(run.log(), {"stage": "localizer", "epoch": step // 2, "step": step % 2, "losses": losses})
    append_log(run.log(), {"stage": "segmenter", "epoch": 0, "step": 0, "losses": {"total": 1.0}})
    scores = [
        *score_seeds(train, run, recipe),
        score_label_maps(train, run.root / "masks", stage="masks", recipe=recipe),
        score_label_maps(val, run.predictions, stage="predictions", recipe=recipe),
    ]
    write_scores(run, [replace(scores[0], baseline=12.3), *scores[1:3], replace(scores[3], fully_supervised=98.7)])
    write_manifest(run, recipe_name=recipe.name)
    return run


def baseline_of(run):
    return RunDirectory(run.root / "baseline")


def cams_of(dataset, index):
    """True masks as CAMs on the grid of stride 4."""
    mask, present = dataset.mask(index), np.flatnonzero(dataset.tags[index])
    return CamSet(np.stack([mask[::4, ::4] == label + 1 for label in present]).astype(float), present, mask.shape)
