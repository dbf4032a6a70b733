"""The stage of refinement: from CAMs to pseudo masks and confidence masks, image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.artifacts import RunDirectory, read_cams, stage_key
from ktse.config import Recipe, RefinementSettings
from ktse.data.dataset import Dataset
from ktse.data.image_io import write_confidence, write_label_map
from ktse.engine.fabric import make_fabric
from ktse.engine.image_stage import run_image_stage
from ktse.errors import DataError
from ktse.ops.labels import label_map, scores_with_background
from ktse.ops.par import pixel_adaptive_refinement
from ktse.refinement.confidence import confident_region

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True, slots=True)
class Unrefined:
    """One image that waits for its pseudo mask.

    Attributes:
        id: Of the image.
        image: (H, W, 3) uint8.
        scores: (P+1, H, W) background and the CAMs of the present classes.
        present: (P,) these classes.
    """

    id: str
    image: NDArray[np.uint8]
    scores: Tensor
    present: NDArray[np.int64]


def masks_key(dataset: Dataset, recipe: Recipe, *, run: RunDirectory) -> str:
    """Return the stage key of the pseudo masks: it changes with the CAMs, the images and the settings.

    Raises:
        DataError: The run has no CAMs.
    """
    cams = run.stage("cams").key
    if not cams:
        raise DataError(f"there are no CAMs in '{run.stage('cams').folder}'.", remedy="Run localize first.")
    changing_nothing = {"par_batch"}
    return stage_key(
        "masks", cams, dataset.fingerprint(), recipe.refinement.model_dump(mode="json", exclude=changing_nothing)
    )


def refine(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None) -> None:
    """Write the pseudo mask and the confidence mask of every image that has CAMs in the run.

    An image that cannot be refined does not keep the others from it; when all others are done the error names it.

    Args:
        dataset: The images whose CAMs the run holds.
        recipe: Its section `refinement` names the steps and their settings.
        run: Holds `cams/ID.npz`; gets `masks/ID.png` and `confidence/ID.png`.
        fabric: Processes and device; each process takes its share of the images. Made from the recipe when None.

    Raises:
        DataError: There are no CAMs, or those of an image are missing, damaged or of another image; the file is named.
        StoppedError: Stopped; finished images are kept and the same call does the rest.
    """
    fabric = fabric or make_fabric(recipe.runtime)
    settings = recipe.refinement

    def work(todo: list[int], report: Callable[[int], None]) -> None:
        failures: list[DataError] = []
        for batch in batches_of_one_size(_readable(dataset, todo, settings, run, failures), settings.par_batch):
            for item, scores in zip(batch, refine_scores(batch, settings, device=fabric.device), strict=True):
                write_label_map(run.mask(item.id), label_map(scores, item.present))
                write_confidence(run.confidence(item.id), confident_region(scores, settings.confident_share))
            report(len(batch))
        if failures:
            others = "" if len(failures) == 1 else f" So do {len(failures) - 1} other images."
            raise DataError(f"an image cannot be refined: {failures[0]}{others} The rest is done and kept.")

    run_image_stage("masks", masks_key(dataset, recipe, run=run), dataset.ids, work, run=run, fabric=fabric)


def _readable(
    dataset: Dataset, todo: Iterable[int], settings: RefinementSettings, run: RunDirectory, failures: list[DataError]
) -> Iterator[Unrefined]:
    """Yield the images that can be read, one at a time, and note the errors of the others."""
    for index in todo:
        try:
            yield read_unrefined(dataset, index, settings, run=run)
        except DataError as error:
            failures.append(error)


def read_unrefined(dataset: Dataset, index: int, settings: RefinementSettings, *, run: RunDirectory) -> Unrefined:
    """Read an image and its CAMs; an image without tags needs no CAMs, it is background.

    Raises:
        DataError: The image or its CAMs cannot be read, or do not belong together; the file is named.
    """
    id_, image = dataset.ids[index], dataset.image(index)
    size = (image.shape[0], image.shape[1])
    if not dataset.tags[index].any():
        return Unrefined(id_, image, torch.full((1, *size), settings.background_score), np.zeros(0, np.int64))
    path = run.cams(id_)
    cams = read_cams(path)
    if cams.size != size:
        raise DataError(
            f"'{path}' belongs to an image of {cams.size}, but image '{id_}' has {size} pixels.",
            remedy="Run localize on these images.",
        )
    if cams.present.max(initial=-1) >= dataset.classes.count:
        raise DataError(
            f"'{path}' names class {cams.present.max()}, expected 0 .. {dataset.classes.count - 1}.",
            remedy="Run localize on this data set.",
        )
    return Unrefined(id_, image, scores_with_background(cams, settings.background_score), cams.present)


def batches_of_one_size(items: Iterable[Unrefined], limit: int) -> Iterator[list[Unrefined]]:
    """Put neighbours of equal size together, at most `limit`; only one batch is in memory at a time."""
    batch: list[Unrefined] = []
    for item in items:
        if batch and (len(batch) == limit or item.image.shape != batch[0].image.shape):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


@torch.inference_mode()
def refine_scores(
    batch: list[Unrefined], settings: RefinementSettings, *, device: torch.device | str = "cpu"
) -> list[Tensor]:
    """Run the steps of refinement over images of one size.

    PAR is linear and treats each channel by itself. The scores go into it as they are: CAMs in [0, 1] beside the
    constant of background, without the softmax that training puts before PAR (REFERENCE 3.3). So background stays
    constant (1.01 times itself an iteration, as all channels), and a refined mask is the CAM, smoothed along the
    colours of the image, cut at the background score.

    Args:
        batch: Images of equal size; they may have different numbers of classes.
        settings: Steps and their settings.
        device: Where to compute.

    Returns:
        For each image (P+1, H, W) scores.
    """
    images = torch.from_numpy(np.stack([item.image for item in batch])).to(device).movedim(-1, 1) / 255  # (B, 3, H, W)
    most = max(len(item.scores) for item in batch)
    scores = images.new_zeros(len(batch), most, *images.shape[-2:])  # channels that an image lacks stay 0
    for row, item in zip(scores, batch, strict=True):
        row[: len(item.scores)] = item.scores
    for step in settings.steps:
        match step:
            case "par":
                scores = pixel_adaptive_refinement(
                    images, scores, dilations=settings.par_dilations, iterations=settings.par_iterations
                )
    return [refined[: len(item.scores)] for refined, item in zip(scores, batch, strict=True)]
