"""Networks from elsewhere behind the scores of a run: a score that others have trained for says so."""

from __future__ import annotations

from dataclasses import replace

from ktse.artifacts import RunDirectory
from ktse.config import Recipe
from ktse.evaluation.score import Score


def with_origins(score: Score, recipe: Recipe, *, run: RunDirectory) -> Score:
    """Name in the protocol of a score the adopted networks that it comes of.

    The random seed of the run is taken out where all of them are adopted: nothing was trained with it.

    Args:
        score: A score of the run.
        recipe: The recipe of the run.
        run: Its stages know what was adopted.
    """
    origins = {name: run.stage(name).origin for name in _networks_behind(score, recipe, run)}
    adopted = tuple(f"{name} of {origin}" for name, origin in origins.items() if origin)
    seed = None if len(adopted) == len(origins) else score.protocol.random_seed
    return replace(score, protocol=replace(score.protocol, origins=adopted, random_seed=seed))


def _networks_behind(score: Score, recipe: Recipe, run: RunDirectory) -> list[str]:
    """Return the stages whose networks a score depends on; an adopted segmenter depends on no other network."""
    if score.stage == "predictions" and run.stage("segmenter").origin:
        return ["segmenter"]
    steps = recipe.refinement.steps if score.protocol.refinement is None else score.protocol.refinement
    irnet = ["irnet"] if "irn" in steps and score.stage in ("steps", "masks", "predictions") else []
    segmenter = ["segmenter"] if score.stage == "predictions" else []
    return ["localizer", *irnet, *segmenter]
