"""The stages of a recipe in their order; each is skipped when it is done, and redone when it is stale."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import TYPE_CHECKING

from ktse.artifacts import RunDirectory, write_bytes_atomic, write_manifest
from ktse.config import Recipe, replace
from ktse.engine.fabric import joined
from ktse.engine.together import decided
from ktse.errors import InputError, near_matches
from ktse.evaluation.origins import with_origins
from ktse.evaluation.refinement import score_ir_labels, score_masks, score_steps
from ktse.evaluation.run import score_label_maps, score_seeds
from ktse.evaluation.score import Score, read_scores, write_scores
from ktse.export.released import adopt_released
from ktse.localization.infer import localize
from ktse.localization.train import train_localizer
from ktse.nets.weight_contents import Contents
from ktse.recipes import load_recipe
from ktse.recipes.components import weights_with
from ktse.refinement.run import refine
from ktse.report.page import write_report
from ktse.run_checks import check_networks, current_stages, warn_of_colours, warn_of_stale
from ktse.segmentation.labels import LabelSource
from ktse.segmentation.predict import predict
from ktse.segmentation.train import train_segmenter
from ktse.splits import Splits, open_splits

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STAGES = ("localizer", "cams", "masks", "segmenter", "predictions", "scores", "report")
"""Stages in the order in which they run."""


def run_recipe(recipe: Recipe, *, data: Path | None, out: Path, stages: Sequence[str] | None = None) -> list[Score]:
    """Run a recipe, or go on with it where it was stopped.

    Args:
        recipe: What to do.
        data: Root of the data set; None for Shapes.
        out: Run directory; everything that is made lies there.
        stages: Only these stages; None for all.

    Returns:
        The scores of the run as far as there are masks to score on.

    Raises:
        InputError: An unknown stage, unusable data, or a run directory that somebody else writes to.
        StoppedError: Stopped by Ctrl-C or SIGTERM; the same call goes on.
    """
    wanted = _known_stages(stages)
    splits = open_splits(recipe, data)
    run = RunDirectory(out)
    makes = not set(wanted) <= {"scores", "report"}  # looking at a run from another side does not change what it is
    with joined(recipe.runtime) as fabric, ExitStack() as claims:
        first = fabric.global_rank == 0

        def begin() -> None:
            claims.enter_context(run.lock())
            if makes:
                claims.enter_context(_kept_recipe(run))
                _begin(recipe, run, splits, wanted, fabric)

        decided(begin, fabric)
        _run_stages(recipe, run, splits, wanted, fabric)
        baseline = _run_baseline(recipe, run, splits, wanted, fabric)
        bound = _run_fully_supervised(recipe, run, splits, wanted, fabric)
        if "scores" in wanted:
            scores = _score(recipe, run, splits, baseline, bound, fabric)
            if first:
                write_scores(run, scores, device=str(fabric.device), processes=fabric.world_size)
        if first and makes:
            _write_manifest(run, recipe, fabric)
        if first and "report" in wanted:
            write_report(run, train=splits.train, val=splits.val, recipe=recipe, baseline=baseline)
        return read_scores(run) if first else []


def demo(out: Path, *, quick: bool = False) -> list[Score]:
    """Run the whole path on the embedded Shapes data.

    Args:
        out: Run directory.
        quick: A few images and epochs: shows that everything runs, not how well.
    """
    return run_recipe(load_recipe("demo/quick" if quick else "demo"), data=None, out=out)


def adopt(weights: str | Path, recipe: Recipe, *, out: Path) -> Contents:
    """Begin a run, or go on with one, with a network that others have trained in the place of one of its own.

    Args:
        weights: A released checkpoint of a localizer, an IRNet or a segmenter: a path, or weights known by name.
        recipe: What the run does; its stages go on from the network as from a trained one.
        out: Run directory.

    Returns:
        What the checkpoint was.

    Raises:
        WeightsError: The checkpoint cannot be read, or is not what the recipe describes.
        InputError: The run has trained such a network itself, or somebody else writes there.
    """
    run = RunDirectory(out)
    contents = adopt_released(weights, recipe, run=run)
    with run.lock():
        _write_recipe(run, recipe)
        write_manifest(run, recipe_name=recipe.name)
    return contents


@contextmanager
def _kept_recipe(run: RunDirectory) -> Iterator[None]:
    """Put the recipe of a run back when what is done to it turns out to be bad use: a word mistyped costs nothing."""
    before = run.recipe.read_bytes() if run.recipe.is_file() else None
    try:
        yield
    except InputError:
        if before is not None:
            write_bytes_atomic(run.recipe, before)
        raise


def _begin(recipe: Recipe, run: RunDirectory, splits: Splits, wanted: Collection[str], fabric: Fabric) -> None:
    """Refuse what cannot be done, warn of what is likely not wanted, and note what the run is."""
    check_networks(recipe, run, splits, wanted)
    warn_of_colours(recipe)
    warn_of_stale(recipe, run, splits, wanted)
    _write_recipe(run, recipe)
    _write_manifest(run, recipe, fabric)


def _run_stages(recipe: Recipe, run: RunDirectory, splits: Splits, wanted: Iterable[str], fabric: Fabric) -> None:
    """The method: tags → localizer → CAMs and seeds → pseudo masks → segmenter → predictions."""
    if "localizer" in wanted:
        train_localizer(splits.train, recipe, run=run, fabric=fabric)
    if "cams" in wanted:
        localize(splits.train, recipe, run=run, fabric=fabric)
    if "masks" in wanted:
        refine(splits.train, recipe, run=run, fabric=fabric)
    if "segmenter" in wanted:
        train_segmenter(splits.train, recipe, run=run, fabric=fabric)
    if "predictions" in wanted:
        predict(splits.val, recipe, run=run, fabric=fabric)


def _run_baseline(
    recipe: Recipe, run: RunDirectory, splits: Splits, wanted: Sequence[str], fabric: Fabric
) -> RunDirectory | None:
    """Run the same stages with the plain classifier, for comparison; None when the recipe does not ask for it."""
    if not recipe.evaluation.baseline:
        return None
    child = RunDirectory(run.root / "baseline")
    _run_stages(_plain(recipe), child, splits, wanted, fabric)
    return child


def _plain(recipe: Recipe) -> Recipe:
    return replace(recipe, localization={"weights": weights_with((), recipe.localization.weights)})


def _run_fully_supervised(
    recipe: Recipe, run: RunDirectory, splits: Splits, wanted: Sequence[str], fabric: Fabric
) -> RunDirectory | None:
    """Train the same segmenter on true masks, as the bound; None when the recipe does not ask for it."""
    if not recipe.evaluation.fully_supervised:
        return None
    child = RunDirectory(run.root / "fully_supervised")
    if "segmenter" in wanted:
        train_segmenter(splits.train, recipe, run=child, fabric=fabric, labels="truth")
    if "predictions" in wanted:
        predict(splits.val, recipe, run=child, fabric=fabric)
    return child


def _score(
    recipe: Recipe,
    run: RunDirectory,
    splits: Splits,
    baseline: RunDirectory | None,
    bound: RunDirectory | None,
    fabric: Fabric,
) -> list[Score]:
    """Score what there is, beside the baseline's and the bound's value.

    Raises:
        InputError: What there is was made with other settings than the recipe's, all of it.
    """
    ours = _score_run(recipe, run, splits, fabric)
    plain = _score_run(_plain(recipe), baseline, splits, fabric) if baseline else {}
    full = _score_run(recipe, bound, splits, fabric, labels="truth") if bound else {}
    return [
        replace_fields(
            score,
            baseline=plain[name].miou if name in plain and not score.protocol.labelled_only else None,
            fully_supervised=full[name].miou if name in full else None,
        )
        for name, score in ours.items()
    ]


def _score_run(
    recipe: Recipe, run: RunDirectory, splits: Splits, fabric: Fabric, *, labels: LabelSource = "masks"
) -> dict[str, Score]:
    """Score the finished stages of one run directory on whatever masks there are."""
    scores: dict[str, Score] = {}
    finished = decided(lambda: current_stages(recipe, run, splits, labels), fabric)  # all score the same stages
    if splits.scored.has_masks:
        if "cams" in finished:
            scores["seeds, best"], scores["seeds, fixed"] = score_seeds(splits.scored, run, recipe, fabric=fabric)
        if "ir_labels" in finished:
            scores["ir_labels"] = score_ir_labels(splits.scored, run, recipe, fabric=fabric)
        if "masks" in finished:
            for score in score_steps(splits.scored, run, recipe, fabric=fabric):
                scores[f"after {score.protocol.refinement}"] = score
            scores["masks"] = score_masks(splits.scored, run, recipe, fabric=fabric)
    if splits.val.has_masks and "predictions" in finished:
        scores["predictions"] = score_label_maps(
            splits.val, run.predictions, stage="predictions", recipe=recipe, fabric=fabric
        )
    return {name: with_origins(score, recipe, run=run) for name, score in scores.items()}


def _known_stages(stages: Sequence[str] | None) -> Sequence[str]:
    """Return the stages to run, all of them known."""
    for stage in stages or ():
        if stage not in STAGES:
            raise InputError(f"no stage '{stage}'.", remedy=near_matches(stage, STAGES))
    return STAGES if stages is None else stages


def _write_recipe(run: RunDirectory, recipe: Recipe) -> None:
    """Keep the recipe with the run, so that single stages and readers know it."""
    import yaml

    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    write_bytes_atomic(run.recipe, text.encode())


def _write_manifest(run: RunDirectory, recipe: Recipe, fabric: Fabric) -> None:
    write_manifest(run, recipe_name=recipe.name, device=str(fabric.device), processes=fabric.world_size)
