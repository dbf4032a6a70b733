"""IR labels: what IRNet learns from, the pixels whose class two dense CRFs agree on (REFERENCE 5.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ktse.artifacts import RunDirectory, stage_key
from ktse.config import Recipe, RefinementSettings
from ktse.data.dataset import Dataset
from ktse.data.faults import noted
from ktse.data.image_io import write_label_map
from ktse.engine.fabric import make_fabric
from ktse.engine.image_stage import run_image_stage
from ktse.errors import DataError
from ktse.ops.crf_refinement import refine_several_by_crf
from ktse.ops.labels import label_map, scores_with_background
from ktse.refinement.unrefined import Unrefined, cams_key, read_all
from ktse.types import IGNORE_INDEX

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def ir_labels_key(dataset: Dataset, recipe: Recipe, *, run: RunDirectory) -> str:
    """Return the stage key of the IR labels: it changes with the CAMs, the images, the thresholds and the CRF.

    Raises:
        DataError: The run has no CAMs.
    """
    settings = recipe.refinement
    return stage_key(
        "ir_labels",
        cams_key(run),
        dataset.fingerprint(),
        settings.irn.model_dump(mode="json", include={"foreground_threshold", "background_threshold"}),
        settings.crf.model_dump(mode="json", exclude={"unary"}),
    )


def make_ir_labels(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None) -> None:
    """Write the IR label of every image that has CAMs in the run; an image without tags is background all over.

    An image that cannot be labelled does not keep the others from it; when all others are done the error names it.

    Args:
        dataset: The images whose CAMs the run holds.
        recipe: Its section `refinement` has the thresholds and the CRF.
        run: Holds `cams/ID.npz`; gets `ir_labels/ID.png`.
        fabric: Processes and device; each process takes its share of the images. Made from the recipe when None.

    Raises:
        DataError: There are no CAMs, or those of an image are missing, damaged or of another image; the file is named.
        StoppedError: Stopped; finished images are kept and the same call does the rest.
    """
    fabric = fabric or make_fabric(recipe.runtime)

    def work(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        faults: list[DataError] = []
        for index in (index for index in todo if not dataset.tags[index].any()):
            with noted(faults):
                write_label_map(run.ir_label(dataset.ids[index]), np.zeros(dataset.image(index).shape[:2], np.uint8))
            report(1)
        tagged = (index for index in todo if dataset.tags[index].any())
        for item in read_all(dataset, tagged, run=run, faults=faults):
            label = ir_label(item, recipe.refinement, ignore_index=dataset.classes.ignore_index, device=fabric.device)
            write_label_map(run.ir_label(item.id), label)
            report(1)
        return faults

    run_image_stage("ir_labels", ir_labels_key(dataset, recipe, run=run), dataset.ids, work, run=run, fabric=fabric)


def ir_label(
    item: Unrefined,
    settings: RefinementSettings,
    *,
    ignore_index: int = IGNORE_INDEX,
    device: torch.device | str | None = None,
) -> NDArray[np.integer[Any]]:
    """Return the IR label of an image.

    Its CAMs are cut at two thresholds, and a dense CRF refines each of the two hard label maps. What the strict cut
    labels has that class. What neither cut labels is background. What the generous cut alone labels is left out.

    Args:
        item: Image with CAMs.
        settings: Thresholds and CRF; the CRF starts from labels, whatever `crf.unary` says of later steps.
        ignore_index: The label that says nothing.
        device: Where to compute.

    Returns:
        (H, W) labels: 0, c + 1, or `ignore_index`.
    """
    thresholds = (settings.irn.foreground_threshold, settings.irn.background_threshold)
    cuts = [scores_with_background(item.cams, threshold) for threshold in thresholds]
    from_labels = settings.crf.model_copy(update={"unary": "labels"})
    refined = refine_several_by_crf(item.image, cuts, from_labels, device=device)
    strict, generous = (label_map(scores, item.cams.present) for scores in refined)
    label = strict.astype(np.min_scalar_type(ignore_index))
    label[(strict == 0) & (generous != 0)] = ignore_index
    return label
