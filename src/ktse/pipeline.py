"""The stages of a recipe in their order; each is skipped when it is done, and redone when it is stale."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ktse.artifacts import RunDirectory, write_bytes_atomic, write_manifest
from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.data.open import has_split, open_dataset
from ktse.engine.fabric import joined
from ktse.engine.together import decided
from ktse.errors import InputError, KtseWarning, near_matches
from ktse.evaluation.origins import with_origins
from ktse.evaluation.refinement import score_ir_labels, score_masks, score_steps
from ktse.evaluation.run import score_label_maps, score_seeds
from ktse.evaluation.score import Score, read_scores, write_scores
from ktse.export.released import adopt_released
from ktse.localization.infer import cams_key, localize
from ktse.localization.train import build as build_localizer
from ktse.localization.train import localizer_key, train_localizer
from ktse.nets.irnet import build_irnet
from ktse.nets.known_weights import BUILT_IN, find_weights
from ktse.nets.trunk_normalization import other_normalizations
from ktse.nets.trunks import PACKAGED_DEMO
from ktse.nets.weight_contents import Contents
from ktse.recipes import load_recipe
from ktse.recipes.components import weights_with
from ktse.refinement.ir_labels import ir_labels_key
from ktse.refinement.irn_training import irnet_key
from ktse.refinement.run import masks_key, refine
from ktse.report.page import write_report
from ktse.segmentation.labels import LabelSource
from ktse.segmentation.predict import predict, predictions_key
from ktse.segmentation.segmenter import build_network
from ktse.segmentation.train import segmenter_key, train_segmenter

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STAGES = ("localizer", "cams", "masks", "segmenter", "predictions", "scores", "report")
"""Stages in the order in which they run."""

SCORED = ("cams", "ir_labels", "masks", "predictions")
"""Stages whose outputs are scored."""

BEHIND: dict[str, tuple[str, ...]] = {
    "localizer": (),
    "cams": ("localizer",),
    "ir_labels": ("cams",),
    "irnet": ("ir_labels",),
    "masks": ("cams",),
    "segmenter": ("masks",),
    "predictions": ("segmenter",),
}
"""Stage to those whose outputs it starts from; masks start from `irnet`, too, where IRN is among their steps."""

OTHER_SETTINGS = "other settings or data than these"
RUN_AGAIN = "Run these stages again with the settings, or leave the settings as they were."


@dataclass(frozen=True, slots=True)
class Splits:
    """The data of a run.

    Attributes:
        train: Images whose tags are learned from.
        scored: Images on whose masks seeds and pseudo masks are scored.
        val: Images for which the segmenter predicts masks; it needs no tags of them.
    """

    train: Dataset
    scored: Dataset
    val: Dataset


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
    with joined(recipe.runtime) as fabric:
        first = fabric.global_rank == 0
        with run.lock() if first else nullcontext(), _kept_recipe(run) if first and makes else nullcontext():
            if makes:
                decided(partial(_begin, recipe, run, splits, wanted, fabric), fabric)
            _run_stages(recipe, run, splits, wanted, fabric)
            baseline = _run_baseline(recipe, run, splits, wanted, fabric)
            bound = _run_fully_supervised(recipe, run, splits, wanted, fabric)
            if "scores" in wanted:
                scores = _score(recipe, run, splits, baseline, bound, fabric)
                if first:
                    write_scores(run, scores, device=str(fabric.device), processes=fabric.world_size)
            if first:
                if makes:
                    _write_manifest(run, recipe, fabric)
                if "report" in wanted:
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


def open_splits(recipe: Recipe, data: Path | None) -> Splits:
    """Open the splits that a recipe names; a folder without its own validation split predicts its training images.

    Raises:
        DataError: A data set is missing or not as it has to be.
    """
    settings = recipe.data
    train = open_dataset(settings, data, settings.train_split)
    opened = {settings.train_split: train}
    for split in (settings.score_split, settings.val_split):
        if split not in opened and has_split(settings, data, split):
            opened[split] = open_dataset(settings, data, split)
    return Splits(train, opened.get(settings.score_split, train), opened.get(settings.val_split, train))


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
    _check_networks(recipe, run, splits, wanted)
    _warn_of_colours(recipe)
    _warn_of_stale(recipe, run, splits, wanted)
    _write_recipe(run, recipe)
    _write_manifest(run, recipe, fabric)


def _check_networks(recipe: Recipe, run: RunDirectory, splits: Splits, wanted: Collection[str]) -> None:
    """Build the networks that will be trained, once and for nothing: what cannot be is refused before any work.

    Raises:
        InputError: A trunk that nobody knows, or one that cannot have the stride.
        WeightsError: Weights that are not there.
    """
    classes = splits.train.classes
    trained = [("localizer", "localizer"), ("masks", "irnet"), ("segmenter", "segmenter")]
    for name in (name for stage, name in trained if stage in wanted and not _is_current(name, recipe, run, splits)):
        if name == "localizer":
            build_localizer(recipe.localization, num_classes=classes.count, weights=None)
            weights = recipe.localization.trunk_weights
        elif name == "segmenter":
            build_network(recipe.segmentation, num_labels=classes.num_labels, weights=None)
            weights = recipe.segmenter_weights
        elif "irn" in recipe.refinement.steps:
            build_irnet(recipe.refinement.irn.trunk)
            weights = recipe.irnet_weights
        else:
            continue
        if weights is not None and weights not in (*BUILT_IN, *PACKAGED_DEMO):
            find_weights(weights)


def _warn_of_colours(recipe: Recipe) -> None:
    """Warn of trunks that learned from images normalised otherwise than the recipe says."""
    for sentence in other_normalizations(recipe.pretrained_trunks, mean=recipe.data.mean, std=recipe.data.std):
        warnings.warn(f"{sentence} Set data.mean and data.std, or take another trunk.", KtseWarning, stacklevel=3)


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
    finished = _current_stages(recipe, run, splits, labels)
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


def _current_stages(recipe: Recipe, run: RunDirectory, splits: Splits, labels: LabelSource) -> set[str]:
    """Return the finished stages that were made as the recipe says, networks behind them included.

    Others are warned of and not scored: the protocol of a score is the recipe's, and would not be true of them.

    Raises:
        InputError: There are finished stages, and none is as the recipe says.
    """
    finished = [name for name in SCORED if _is_finished(run, name)]
    if "irn" not in recipe.refinement.steps:
        finished = [name for name in finished if name != "ir_labels"]
    current = {name for name in finished if _is_current(name, recipe, run, splits, labels)}
    others = ", ".join(name for name in finished if name not in current)
    if others and not current:
        raise InputError(f"{others} in '{run.root}' were made with {OTHER_SETTINGS}.", remedy=RUN_AGAIN)
    if others:
        message = f"{others} in '{run.root}' were made with {OTHER_SETTINGS}: not scored. {RUN_AGAIN}"
        warnings.warn(message, KtseWarning, stacklevel=2)
    return current


def _is_current(name: str, recipe: Recipe, run: RunDirectory, splits: Splits, labels: LabelSource = "masks") -> bool:
    """Return whether a stage is finished and is, with all stages behind it, what the recipe would make."""
    stage, train = run.stage(name), splits.train
    if stage.origin:  # adopted: it depends on nothing of the run
        return True
    behind = {**BEHIND, "masks": ("cams", "irnet") if "irn" in recipe.refinement.steps else ("cams",)}
    if labels == "truth":
        behind["segmenter"] = ()
    if stage.key is None or not all(_is_current(before, recipe, run, splits, labels) for before in behind[name]):
        return False
    keys: dict[str, Callable[[], str]] = {
        "localizer": lambda: localizer_key(train, recipe),
        "cams": lambda: cams_key(train, recipe, run=run),
        "ir_labels": lambda: ir_labels_key(train, recipe, run=run),
        "irnet": lambda: irnet_key(train, recipe, run=run),
        "masks": lambda: masks_key(train, recipe, run=run),
        "segmenter": lambda: segmenter_key(train, recipe, run=run, labels=labels),
        "predictions": lambda: predictions_key(splits.val, recipe, run=run),
    }
    return stage.is_done(keys[name]())


def _warn_of_stale(recipe: Recipe, run: RunDirectory, splits: Splits, wanted: Collection[str]) -> None:
    """Warn of what a single stage starts from where that is not what the recipe would make."""
    for name in (name for name in STAGES if name in wanted and name in BEHIND):
        for before in BEHIND[name]:
            if before not in wanted and _is_finished(run, before) and not _is_current(before, recipe, run, splits):
                message = f"{name} will be made from {before} in '{run.root}', made with {OTHER_SETTINGS}. {RUN_AGAIN}"
                warnings.warn(message, KtseWarning, stacklevel=3)


def _is_finished(run: RunDirectory, name: str) -> bool:
    stage = run.stage(name)
    return stage.key is not None and stage.is_done(stage.key)


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
