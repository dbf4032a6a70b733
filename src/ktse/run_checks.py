"""What of a run is as its recipe says; what is refused or warned of before work begins."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection

from ktse.artifacts import RunDirectory
from ktse.config import Recipe
from ktse.errors import InputError, KtseWarning
from ktse.localization.infer import cams_key
from ktse.localization.train import build as build_localizer
from ktse.localization.train import localizer_key
from ktse.nets.irnet import build_irnet
from ktse.nets.known_weights import BUILT_IN, find_weights
from ktse.nets.trunk_normalization import other_normalizations
from ktse.nets.trunks import PACKAGED_DEMO
from ktse.refinement.ir_labels import ir_labels_key
from ktse.refinement.irn_training import irnet_key
from ktse.refinement.run import masks_key
from ktse.segmentation.labels import LabelSource
from ktse.segmentation.predict import predictions_key
from ktse.segmentation.segmenter import build_network
from ktse.segmentation.train import segmenter_key
from ktse.splits import Splits

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


def check_networks(recipe: Recipe, run: RunDirectory, splits: Splits, wanted: Collection[str]) -> None:
    """Build the networks that will be trained, once and for nothing: what cannot be is refused before any work.

    Raises:
        InputError: A trunk that nobody knows, or one that cannot have the stride.
        WeightsError: Weights that are not there.
    """
    classes = splits.train.classes
    trained = [("localizer", "localizer"), ("masks", "irnet"), ("segmenter", "segmenter")]
    for name in (name for stage, name in trained if stage in wanted and not is_current(name, recipe, run, splits)):
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


def warn_of_colours(recipe: Recipe) -> None:
    """Warn of trunks that learned from images normalised otherwise than the recipe says."""
    for sentence in other_normalizations(recipe.pretrained_trunks, mean=recipe.data.mean, std=recipe.data.std):
        warnings.warn(f"{sentence} Set data.mean and data.std, or take another trunk.", KtseWarning, stacklevel=3)


def current_stages(recipe: Recipe, run: RunDirectory, splits: Splits, labels: LabelSource) -> set[str]:
    """Return the finished stages that were made as the recipe says, networks behind them included.

    Others are warned of and not scored: the protocol of a score is the recipe's, and would not be true of them.

    Raises:
        InputError: There are finished stages, and none is as the recipe says.
    """
    finished = [name for name in SCORED if is_finished(run, name)]
    if "irn" not in recipe.refinement.steps:
        finished = [name for name in finished if name != "ir_labels"]
    current = {name for name in finished if is_current(name, recipe, run, splits, labels)}
    others = ", ".join(name for name in finished if name not in current)
    if others and not current:
        raise InputError(f"{others} in '{run.root}' were made with {OTHER_SETTINGS}.", remedy=RUN_AGAIN)
    if others:
        message = f"{others} in '{run.root}' were made with {OTHER_SETTINGS}: not scored. {RUN_AGAIN}"
        warnings.warn(message, KtseWarning, stacklevel=2)
    return current


def is_current(name: str, recipe: Recipe, run: RunDirectory, splits: Splits, labels: LabelSource = "masks") -> bool:
    """Return whether a stage is finished and is, with all stages behind it, what the recipe would make."""
    stage, train = run.stage(name), splits.train
    if stage.origin:  # adopted: it depends on nothing of the run
        return True
    behind = {**BEHIND, "masks": ("cams", "irnet") if "irn" in recipe.refinement.steps else ("cams",)}
    if labels == "truth":
        behind["segmenter"] = ()
    if stage.key is None or not all(is_current(before, recipe, run, splits, labels) for before in behind[name]):
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


def warn_of_stale(recipe: Recipe, run: RunDirectory, splits: Splits, wanted: Collection[str]) -> None:
    """Warn of what a single stage starts from where that is not what the recipe would make."""
    for name in (name for name in BEHIND if name in wanted):
        for before in BEHIND[name]:
            if before not in wanted and is_finished(run, before) and not is_current(before, recipe, run, splits):
                message = f"{name} will be made from {before} in '{run.root}', made with {OTHER_SETTINGS}. {RUN_AGAIN}"
                warnings.warn(message, KtseWarning, stacklevel=3)


def is_finished(run: RunDirectory, name: str) -> bool:
    """Return whether a stage is done, with whatever settings."""
    stage = run.stage(name)
    return stage.key is not None and stage.is_done(stage.key)
