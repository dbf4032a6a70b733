from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.evaluation.origins import with_origins
from ktse.evaluation.protocol import Protocol
from ktse.evaluation.score import Score

WITH_IRN = Recipe()
WITH_PAR = replace(Recipe(), refinement={"steps": ("par",)})
A, B, C = "localizer of a.pth", "irnet of b.pth", "segmenter of c.pth"
FILES = {"localizer": "a.pth", "irnet": "b.pth", "segmenter": "c.pth"}


@pytest.mark.parametrize(
    ("adopted", "stage", "recipe", "origins", "is_trained"),
    [
        ([], "masks", WITH_IRN, (), True),
        (["localizer"], "seeds", WITH_IRN, (A,), False),
        (["localizer", "irnet"], "ir_labels", WITH_IRN, (A,), False),
        (["localizer"], "masks", WITH_IRN, (A,), True),
        (["localizer"], "masks", WITH_PAR, (A,), False),
        (["localizer", "irnet"], "masks", WITH_IRN, (A, B), False),
        (["localizer", "irnet"], "predictions", WITH_IRN, (A, B), True),
        (["segmenter"], "predictions", WITH_IRN, (C,), False),
        (["segmenter"], "masks", WITH_IRN, (), True),
    ],
    ids=["none", "seeds", "labels", "masks, own IRNet", "masks by PAR", "masks", "own segmenter", "segmenter", "later"],
)
def test_a_score_names_the_networks_it_comes_of(
    tmp_path: Path, adopted: list[str], stage: str, recipe: Recipe, origins: tuple[str, ...], is_trained: bool
) -> None:
    run = RunDirectory(tmp_path)
    for name in adopted:
        run.stage(name).finish("k", origin=FILES[name])
    steps = None if stage in ("seeds", "predictions") else recipe.refinement.steps
    protocol = Protocol(dataset="x", split="train", images=1, random_seed=7, refinement=steps)
    score = Score(stage=stage, class_names=("cat",), matrix=np.eye(2, dtype=np.int64), protocol=protocol)
    found = with_origins(score, recipe, run=run).protocol
    assert (found.origins, found.random_seed) == (origins, 7 if is_trained else None)
