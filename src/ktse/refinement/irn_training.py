"""Training of IRNet: from images with IR labels to a network that sees where one class ends and another begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ktse.artifacts import RunDirectory
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.data.size_batches import size_batches
from ktse.data.transforms import normalize
from ktse.engine.fabric import make_fabric, shard
from ktse.engine.interrupt import stop_wishes
from ktse.engine.network_file import read_network, write_network
from ktse.engine.optim import Schedule
from ktse.engine.progress import progress
from ktse.engine.training_stage import run_training_stage, training_key
from ktse.errors import DataError, StoppedError
from ktse.nets.irnet import IRNet, build_irnet
from ktse.refinement.irn_batches import check_batches, irn_batches, steps_per_epoch
from ktse.refinement.irn_task import IrnTask

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LABEL_SETTINGS = {"foreground_threshold", "background_threshold"}
INFERENCE_SETTINGS = {"image_scale", "canvas", "walk_radius", "walk_power", "walk_steps", "background_score"}
"""Settings of IRN that do not touch the training: those of its labels show in their own key."""


def irnet_key(dataset: Dataset, recipe: Recipe, *, run: RunDirectory) -> str:
    """Return the stage key of a training: it changes with everything that the network depends on.

    Raises:
        DataError: The run has no IR labels.
    """
    labels = run.stage("ir_labels")
    if not labels.key:
        raise DataError(f"there are no IR labels in '{labels.folder}'.", remedy="Run refine, which makes them.")
    return training_key(
        "irnet",
        dataset,
        recipe,
        labels.key,
        recipe.refinement.irn.model_dump(mode="json", exclude=LABEL_SETTINGS | INFERENCE_SETTINGS | {"trunk_weights"}),
        weights=recipe.irnet_weights,
    )


def irnet_file(run: RunDirectory) -> Path:
    """Return the file of the trained IRNet of a run."""
    return run.irnet / "last.safetensors"


def train_irnet(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None) -> IRNet:
    """Train the IRNet of a recipe, or go on with it, or load it when it is done.

    Args:
        dataset: Images to learn from.
        recipe: Its section `refinement.irn` says how.
        run: Holds `ir_labels/ID.png`; gets `irnet/last.safetensors`, and a line of `log.jsonl` for each step.
        fabric: Processes and device; made from the recipe when None.

    Returns:
        The trained network in evaluation mode, on the device of `fabric`.

    Raises:
        DataError: There are no IR labels, they do not fit the images, or there are fewer images than a batch.
        StoppedError: Stopped by Ctrl-C or SIGTERM; the same call goes on.
        GuardError: A loss was not finite.
    """
    fabric = fabric or make_fabric(recipe.runtime)
    settings, ignore_index = recipe.refinement.irn, dataset.classes.ignore_index
    check_batches(dataset, settings, world_size=fabric.world_size)
    key, steps = irnet_key(dataset, recipe, run=run), steps_per_epoch(dataset, settings)

    def store_mean_displacement(net: IRNet) -> None:
        net.mean_shift.running_mean.copy_(mean_displacement(net, dataset, recipe, fabric=fabric))

    return run_training_stage(
        "irnet",
        key,
        settings,
        recipe.runtime,
        run=run,
        fabric=fabric,
        draw=lambda: build_irnet(settings.trunk, recipe.irnet_weights),
        task=lambda net: IrnTask(net, radius=settings.path_radius, ignore_index=ignore_index),
        steps=lambda epoch: steps,
        batches=lambda epoch, start: irn_batches(
            dataset, recipe, run=run, epoch=epoch, rank=fabric.global_rank, world_size=fabric.world_size,
            start_step=start,
        ),
        schedule=Schedule(
            start=settings.learning_rate, horizon=settings.epochs * steps, power=settings.learning_rate_power
        ),
        rate_factors={"displacement": settings.displacement_learning_rate_factor},
        complete=store_mean_displacement,
        write=lambda net: write_network(irnet_file(run), net, {"trunk": settings.trunk, "key": key}),
        load=lambda: load_irnet(recipe, run=run, fabric=fabric),
    )  # fmt: skip


@torch.inference_mode()
def mean_displacement(net: IRNet, dataset: Dataset, recipe: Recipe, *, fabric: Fabric) -> Tensor:
    """Return the mean displacement over the cells of an image, averaged over many images.

    It is what `MeanShift` subtracts, so that displacements are fair where nothing pulls them; only instances need it.
    The published code takes 512 px from the top left corner of the 1,464 images of a smaller list (REFERENCE 5.5); here
    it is as many images, evenly chosen, each whole.

    Args:
        net: In evaluation mode, with nothing to subtract yet.
        dataset: The images.
        recipe: Says mean, deviation, and how many images of one size are looked at together.
        fabric: Processes and device; each process takes its share of the images.

    Returns:
        (2,) displacement in cells, (dy, dx), the same in every process.

    Raises:
        StoppedError: Stopped by Ctrl-C or SIGTERM.
    """
    sums = torch.zeros(3, device=fabric.device)  # dy, dx, images
    asked = min(len(dataset), recipe.refinement.irn.mean_shift_images)
    chosen_images = np.linspace(0, len(dataset) - 1, asked).astype(int).tolist()
    indices = [chosen_images[number] for number in shard(asked, fabric)]
    shown = fabric.global_rank == 0
    with stop_wishes() as wish, progress("irnet: mean displacement", len(indices), shown=shown) as report:
        for chosen, images in size_batches(dataset, indices, recipe.runtime.inference_batch):
            normalized = normalize(images, recipe.data.mean, recipe.data.std)  # (N, H, W, 3)
            _, displacement = net(torch.from_numpy(normalized).movedim(-1, 1).to(fabric.device))
            sums[:2] += displacement.float().mean(dim=(2, 3)).sum(dim=0)
            sums[2] += len(chosen)
            report(len(chosen))
            if wish.asked:
                raise StoppedError("irnet stopped after its last step.", remedy="Run the same command again to go on.")
    if fabric.world_size > 1:
        sums = torch.as_tensor(fabric.all_reduce(sums, reduce_op="sum"))
    return sums[:2] / sums[2]


def load_irnet(recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None) -> IRNet:
    """Load the trained IRNet of a run, in evaluation mode.

    Raises:
        WeightsError: The file is missing, damaged or of another network.
    """
    net = build_irnet(recipe.refinement.irn.trunk)
    read_network(irnet_file(run), net)
    device = fabric.device if fabric is not None else torch.device("cpu")
    return net.to(device).eval()
