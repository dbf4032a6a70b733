"""What refinement takes on this machine: each of its steps for an image, and IRN's labels and training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.data.image_io import write_confidence, write_label_map
from ktse.data.image_sizes import look_at_sizes
from ktse.data.transforms import normalize
from ktse.engine.cost import PATIENCE, StageCost, measured_images
from ktse.engine.training_cost import Phase, training_costs
from ktse.nets.irnet import IRNet, build_irnet
from ktse.ops.labels import label_map
from ktse.refinement.confidence import confident_region
from ktse.refinement.ir_labels import ir_label
from ktse.refinement.irn_batches import irn_batches, steps_per_epoch
from ktse.refinement.irn_task import IrnTask
from ktse.refinement.steps import ImageScores, batches_of_one_size, crf_step, irn_step, par_step, seed_scores
from ktse.refinement.unrefined import Unrefined
from ktse.types import CamSet

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ImageCost = Callable[..., StageCost]
"""From a stage's name and its work on an image, given by index, to what all images take."""


def refinement_costs(
    dataset: Dataset, recipe: Recipe, *, fabric: Fabric, patience: float = PATIENCE
) -> Iterator[StageCost]:
    """Measure what refinement takes, from CAMs of noise and with new weights: nothing is fetched.

    Args:
        dataset: Images that get pseudo masks.
        recipe: What is to be run.
        fabric: One process and its device.
        patience: Seconds that a step or an image may be expected to take for it to be measured.

    Yields:
        With IRN its labels, its training and its mean displacement; then each step, and the writing of the masks.

    Raises:
        InputError: The recipe's network cannot be built, an image cannot be read, or there is not enough memory.
    """
    sizes = look_at_sizes(dataset)

    def by_image(stage: str, work: Callable[[int], object], images: int, *, together: int = 1) -> StageCost:
        cost = measured_images(work, sizes, fabric.device, patience=patience)
        return StageCost(stage, images, "images", cost.seconds / together * images, cost.memory, cost.is_whole)

    net = None
    if "irn" in recipe.refinement.steps:
        net = build_irnet(recipe.refinement.irn.trunk)
        yield from _irnet_costs(net, dataset, recipe, by_image, fabric, patience)
    yield from _step_costs(net, dataset, recipe, by_image, fabric)


def _irnet_costs(
    net: IRNet, dataset: Dataset, recipe: Recipe, by_image: ImageCost, fabric: Fabric, patience: float
) -> Iterator[StageCost]:
    """Yield what the labels, the training and the mean displacement of IRNet take."""
    settings, device = recipe.refinement.irn, fabric.device

    def label(index: int) -> None:
        ir_label(_with_noise(dataset, index, recipe), recipe.refinement, device=device)

    @torch.inference_mode()
    def displacement(index: int) -> None:
        normalized = torch.from_numpy(normalize(dataset.image(index), recipe.data.mean, recipe.data.std))
        net(normalized.movedim(-1, 0)[None].to(device))  # (H, W, 3) -> (1, 3, H, W)

    yield by_image("IR labels", label, _count_tagged(dataset))
    yield from _irnet_steps(net, dataset, recipe, fabric, patience)
    net.eval()
    yield by_image("IRNet: displacement", displacement, min(len(dataset), settings.mean_shift_images))


def _irnet_steps(net: IRNet, dataset: Dataset, recipe: Recipe, fabric: Fabric, patience: float) -> Iterator[StageCost]:
    settings, few = recipe.refinement.irn, dataset.subset(range(recipe.refinement.irn.batch_size))
    with TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        for index, id_ in enumerate(few.ids):
            height, width, _ = few.image(index).shape
            write_label_map(run.ir_label(id_), np.eye(height, width, dtype=np.uint8))
        phase = Phase(
            "IRNet",
            steps=settings.epochs * steps_per_epoch(dataset, settings),
            epoch=0,
            read=lambda: next(irn_batches(few, replace(recipe, runtime={"workers": 0}), run=run, epoch=0)),
            parts=settings.batch_size,
        )
        task = IrnTask(net, radius=settings.path_radius, ignore_index=dataset.classes.ignore_index)
        yield from training_costs(
            net, task, settings, [phase], workers=recipe.runtime.workers, fabric=fabric, patience=patience
        )


def _step_costs(
    net: IRNet | None, dataset: Dataset, recipe: Recipe, by_image: ImageCost, fabric: Fabric
) -> Iterator[StageCost]:
    """Yield what each step of refinement takes, and the reading of images and writing of masks."""
    settings = recipe.refinement

    @cache
    def seeds(index: int) -> ImageScores:
        return seed_scores(_with_noise(dataset, index, recipe), settings.background_score, device=fabric.device)

    def write(index: int) -> None:
        item = seeds(index)
        dataset.image(index)
        scores = item.full_size()
        write_label_map(Path(folder, "mask.png"), label_map(scores, item.present))
        write_confidence(Path(folder, "confidence.png"), confident_region(scores, settings.confident_share))

    def refine_by_par(items: list[ImageScores]) -> None:
        for batch in batches_of_one_size(items, settings.par_batch):
            par_step(batch, settings)

    work: dict[str, Callable[[int], object]] = {
        "par": lambda index: refine_by_par([seeds(index)] * settings.par_batch),
        "crf": lambda index: crf_step(seeds(index), settings),
    }
    if net is not None:
        work["irn"] = lambda index: irn_step(seeds(index), net, settings.irn, recipe.data)
    for step in settings.steps:
        together = settings.par_batch if step == "par" else 1
        yield by_image(f"refinement: {step}", work[step], _count_tagged(dataset), together=together)
    with TemporaryDirectory() as folder:
        yield by_image("masks", write, len(dataset))


def _count_tagged(dataset: Dataset) -> int:
    return int(dataset.tags.any(axis=1).sum())


def _with_noise(dataset: Dataset, index: int, recipe: Recipe) -> Unrefined:
    """Return an image with noise in the place of its CAMs."""
    image, stride = dataset.image(index), recipe.localization.cam_stride
    height, width, _ = image.shape
    present = np.flatnonzero(dataset.tags[index]).astype(np.int64)
    grid = (len(present), (height - 1) // stride + 1, (width - 1) // stride + 1)
    noise = np.random.default_rng(recipe.runtime.random_seed).random(grid, dtype=np.float32)
    return Unrefined(dataset.ids[index], image, CamSet(noise, present, (height, width)))
