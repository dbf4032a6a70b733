"""The stages of refinement: from CAMs to pseudo masks and confidence masks, image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ktse.artifacts import RunDirectory, stage_key
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.data.faults import noted
from ktse.data.image_io import write_confidence, write_label_map
from ktse.engine.fabric import make_fabric
from ktse.engine.image_stage import run_image_stage
from ktse.engine.together import decided
from ktse.errors import DataError, WeightsError
from ktse.ops.labels import label_map
from ktse.refinement.confidence import confident_region, untagged_region
from ktse.refinement.ir_labels import make_ir_labels
from ktse.refinement.irn_training import INFERENCE_SETTINGS, load_irnet, train_irnet
from ktse.refinement.steps import ImageScores, batches_of_one_size, crf_step, irn_step, par_step, seed_scores
from ktse.refinement.unrefined import cams_key, read_all

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def refine(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None) -> None:
    """Write the pseudo mask and the confidence mask of every image that has CAMs in the run.

    If IRN is among the steps, its labels are made and its network is trained before, unless one was adopted. An image
    that cannot be refined does not keep the others from it; when all others are done the error names it.

    Args:
        dataset: The images whose CAMs the run holds.
        recipe: Its section `refinement` names the steps and their settings.
        run: Holds `cams/ID.npz`; gets `masks/ID.png` and `confidence/ID.png`, for each step but the last
            `steps/NUMBER_STEP/ID.png`, and for IRN `ir_labels/ID.png` and `irnet/`.
        fabric: Processes and device; each process takes its share of the images. Made from the recipe when None.

    Raises:
        DataError: There are no CAMs, or those of an image are missing, damaged or of another image; the file is named.
        StoppedError: Stopped; finished images are kept and the same call does the rest.
    """
    fabric = fabric or make_fabric(recipe.runtime)
    if "irn" in recipe.refinement.steps and not decided(lambda: run.stage("irnet").origin, fabric):
        make_ir_labels(dataset, recipe, run=run, fabric=fabric)
        train_irnet(dataset, recipe, run=run, fabric=fabric)
    make_masks(dataset, recipe, run=run, fabric=fabric)


def masks_key(dataset: Dataset, recipe: Recipe, *, run: RunDirectory) -> str:
    """Return the stage key of the pseudo masks: it changes with the CAMs, the images and what the steps depend on.

    Raises:
        DataError: The run has no CAMs.
        WeightsError: IRN is among the steps and the run has no IRNet.
    """
    settings, steps = recipe.refinement, recipe.refinement.steps
    matters: dict[str, Any] = settings.model_dump(
        mode="json", include={"steps", "confident_share", "untagged_confidence"}
    )
    if steps[:1] != ("irn",):  # which would look at the foreground alone
        matters["background_score"] = settings.background_score
    if "par" in steps:
        matters |= settings.model_dump(mode="json", include={"par_iterations", "par_dilations", "par_keeps_peaks"})
    if "crf" in steps:
        matters["crf"] = settings.crf
    if "irn" in steps:
        irnet = run.stage("irnet").key
        if not irnet:
            raise WeightsError(f"there is no trained IRNet in '{run.irnet}'.", remedy="Run refine, which trains it.")
        matters["irn"] = {"network": irnet, **settings.irn.model_dump(mode="json", include=INFERENCE_SETTINGS)}
    if settings.untagged_confidence == "random":
        matters["random_seed"] = recipe.runtime.random_seed
    return stage_key("masks", cams_key(run), dataset.fingerprint(), matters)


def make_masks(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric) -> None:
    """Do the last stage of `refine` alone: the run holds CAMs, and a trained IRNet if that is among the steps."""

    def work(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        faults: list[DataError] = []
        for index in (index for index in todo if not dataset.tags[index].any()):
            with noted(faults):
                _write_untagged(dataset, index, recipe, run)
            report(1)
        tagged = [index for index in todo if dataset.tags[index].any()]
        for item in _refined(dataset, tagged, recipe, run=run, fabric=fabric, faults=faults):
            scores = item.full_size()
            write_label_map(run.mask(item.id), label_map(scores, item.present))
            write_confidence(run.confidence(item.id), confident_region(scores, recipe.refinement.confident_share))
            report(1)
        return faults

    run_image_stage("masks", masks_key(dataset, recipe, run=run), dataset.ids, work, run=run, fabric=fabric)


def _refined(
    dataset: Dataset, tagged: list[int], recipe: Recipe, *, run: RunDirectory, fabric: Fabric, faults: list[DataError]
) -> Iterator[ImageScores]:
    """Yield tagged images after the last step, and write the label maps of those before.

    Each step draws images from the step before when it needs them, so that no more than one batch is in memory.
    """
    if not tagged:
        return iter(())
    settings = recipe.refinement
    images: Iterator[ImageScores] = (
        seed_scores(item, settings.background_score, device=fabric.device)
        for item in read_all(dataset, tagged, run=run, faults=faults)
    )
    for number, step in enumerate(settings.steps, 1):
        match step:
            case "par":
                images = _by_batch(partial(par_step, settings=settings), images, settings.par_batch)
            case "crf":
                images = _one_by_one(partial(crf_step, settings=settings), images, faults)
            case "irn":
                net = load_irnet(recipe, run=run, fabric=fabric)
                images = _one_by_one(
                    partial(irn_step, net=net, settings=settings.irn, data=recipe.data), images, faults
                )
        if number < len(settings.steps):
            images = _kept(images, number, step, run)
    return images


def _by_batch(
    step: Callable[[list[ImageScores]], list[ImageScores]], images: Iterable[ImageScores], limit: int
) -> Iterator[ImageScores]:
    """Yield images after a step that takes several of one size."""
    for batch in batches_of_one_size(images, limit):
        yield from step(batch)


def _one_by_one(
    step: Callable[[ImageScores], ImageScores], images: Iterable[ImageScores], faults: list[DataError]
) -> Iterator[ImageScores]:
    """Yield images after a step that takes one, and note the errors of those that it cannot take."""
    for item in images:
        with noted(faults):
            yield step(item)


def _kept(images: Iterable[ImageScores], number: int, step: str, run: RunDirectory) -> Iterator[ImageScores]:
    """Yield images unchanged, and write their label maps after a step."""
    for item in images:
        write_label_map(run.step_mask(number, step, item.id), item.labels())
        yield item


def _write_untagged(dataset: Dataset, index: int, recipe: Recipe, run: RunDirectory) -> None:
    """Write the masks of an image without tags, which is background after every step."""
    id_, settings = dataset.ids[index], recipe.refinement
    height, width, _ = dataset.image(index).shape
    trusted = untagged_region(
        (height, width),
        settings.confident_share,
        rule=settings.untagged_confidence,
        random_seed=recipe.runtime.random_seed,
        id_=id_,
    )
    background = np.zeros((height, width), np.uint8)
    for number, step in enumerate(settings.steps[:-1], 1):
        write_label_map(run.step_mask(number, step, id_), background)
    write_label_map(run.mask(id_), background)
    write_confidence(run.confidence(id_), trusted)
