"""Multi-scale, mirrored CAMs of whole images, and the seeds cut from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ktse.artifacts import RunDirectory, read_cams, stage_key, write_cams
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.data.faults import noted
from ktse.data.image_io import write_label_map
from ktse.data.size_batches import size_batches
from ktse.data.transforms import normalize
from ktse.engine.fabric import make_fabric
from ktse.engine.image_stage import run_image_stage
from ktse.errors import DataError, WeightsError
from ktse.localization.seeds import seed_labels
from ktse.localization.train import INFERENCE_SETTINGS, load_localizer
from ktse.ops.cam import max_normalize
from ktse.ops.resize import resize_to
from ktse.types import CamSet

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def cams_key(dataset: Dataset, recipe: Recipe, *, run: RunDirectory) -> str:
    """Return the stage key of the CAMs: it changes with the network in the run, the images and the views.

    Raises:
        WeightsError: The run has no localizer.
    """
    localizer = run.stage("localizer").key
    if not localizer:
        raise WeightsError(f"there is no trained localizer in '{run.root}'.", remedy="Run train_localizer first.")
    views = recipe.localization.model_dump(mode="json", include=INFERENCE_SETTINGS - {"seed_threshold", "sweep"})
    colours = recipe.data.model_dump(mode="json", include={"mean", "std"})
    return stage_key("cams", localizer, dataset.fingerprint(), views, colours)


def localize(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None) -> None:
    """Write the CAMs of every tagged image, and its seed: the CAMs cut at the recipe's threshold.

    Args:
        dataset: Images with tags.
        recipe: Its section `localization` says which views, which grid, which threshold.
        run: Holds the trained localizer; gets `cams/ID.npz` and `seeds/ID.png`.
        fabric: Processes and device; each process takes its share of the images.

    Raises:
        WeightsError: There is no trained localizer, or its file is damaged or of another network.
        DataError: Images cannot be read, or a CAM file is damaged; the results of the others are there.
        StoppedError: Stopped; finished images are kept and the same call does the rest.
    """
    fabric = fabric or make_fabric(recipe.runtime)
    threshold, key = recipe.localization.seed_threshold, cams_key(dataset, recipe, run=run)
    network = cache(partial(load_localizer, recipe, num_classes=dataset.classes.count, run=run, fabric=fabric))
    if not run.stage("cams").is_done(key):
        network()  # refused before anything stale is removed

    def draw_cams(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        faults: list[DataError] = []
        localizer = network()
        for indices, images in size_batches(dataset, todo, recipe.runtime.inference_batch, faults=faults):
            for index, cams in zip(indices, infer_cams(localizer, images, dataset.tags[indices], recipe), strict=True):
                with noted(faults):
                    write_cams(run.cams(dataset.ids[index]), cams)
            report(len(indices))
        return faults

    def cut_seeds(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        faults: list[DataError] = []
        for index in todo:
            with noted(faults):
                cams = read_cams(run.cams(dataset.ids[index]))
                write_label_map(run.seed(dataset.ids[index]), seed_labels(cams, threshold))
            report(1)
        return faults

    run_image_stage("cams", key, dataset.ids, draw_cams, run=run, fabric=fabric)
    run_image_stage("seeds", stage_key("seeds", key, threshold), dataset.ids, cut_seeds, run=run, fabric=fabric)


@torch.inference_mode()
def infer_cams(
    localizer: nn.Module, images: NDArray[np.uint8], tags: NDArray[np.bool_], recipe: Recipe
) -> list[CamSet]:
    """Return the CAMs of images of one size: views of several sizes and their mirrors, summed, over their maximum.

    Args:
        localizer: In evaluation mode.
        images: (N, H, W, 3) uint8.
        tags: (N, K) classes whose CAMs are wanted.
        recipe: Views, merge, grid; mean and deviation of the images.

    Returns:
        For each image, scores in [0, 1] on the grid of `cam_stride`, (H - 1) // stride + 1 by (W - 1) // stride + 1
        (REFERENCE 4.1).
    """
    settings = recipe.localization
    height, width = images.shape[1:3]
    grid = ((height - 1) // settings.cam_stride + 1, (width - 1) // settings.cam_stride + 1)
    device = next(localizer.parameters()).device
    total = torch.zeros(len(images), tags.shape[1], *grid, device=device)
    for scale in settings.scales:
        views = _views(images, (max(1, round(height * scale)), max(1, round(width * scale))), recipe).to(device)
        both = (views, views.flip(-1)) if settings.mirror else (views,)
        raw = [localizer(view).cam.float() for view in both]
        total += merge_views(raw[0], raw[1].flip(-1) if settings.mirror else None, grid, settings.view_merge)
    scores = max_normalize(total).cpu().numpy()
    classes = [np.flatnonzero(row).astype(np.int64) for row in tags]
    return [CamSet(scores[n, present], present, (height, width)) for n, present in enumerate(classes)]


def _views(images: NDArray[np.uint8], size: tuple[int, int], recipe: Recipe) -> Tensor:
    """Return the images resized (Pillow's bicubic) and normalised, (N, 3, h, w)."""
    height, width = size
    resized = [Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC) for image in images]
    stacked = normalize(np.stack([np.asarray(image) for image in resized]), recipe.data.mean, recipe.data.std)
    return torch.from_numpy(stacked.transpose(0, 3, 1, 2).copy())  # (N, h, w, 3) -> (N, 3, h, w)


def merge_views(cams: Tensor, mirrored: Tensor | None, grid: tuple[int, int], view_merge: str) -> Tensor:
    """Merge the raw CAMs of a view and of its mirror, and bring them to a grid.

    Clipping and resizing do not commute, so the order is part of the method: `relu_then_sum` resizes each view, clips
    it, and adds (REFERENCE 4.1, for seeds); `sum_then_relu` adds the views on the network's own grid, clips, and
    resizes (REFERENCE 5.1, for IRN).

    Args:
        cams: (N, K, h, w) raw CAMs.
        mirrored: Those of the mirrored image, already turned back; None without mirror.
        grid: Height and width of the result.
        view_merge: `relu_then_sum` or `sum_then_relu`.

    Returns:
        (N, K, *grid), not negative.

    Example:
        >>> a, b = torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[-1.0, 3.0]]]])
        >>> merge_views(a, b, (1, 2), "relu_then_sum"), merge_views(a, b, (1, 2), "sum_then_relu")
        (tensor([[[[2., 3.]]]]), tensor([[[[1., 2.]]]]))
    """
    views = (cams,) if mirrored is None else (cams, mirrored)
    if view_merge == "relu_then_sum":
        return torch.stack([resize_to(view, grid).relu() for view in views]).sum(0)
    return resize_to(torch.stack(views).sum(0).relu(), grid)
