"""The steps of refinement, in any order: each takes the scores of an image and returns better ones (REFERENCE 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ktse.config import DataSettings, IrnSettings, RefinementSettings
from ktse.data.size_batches import PIXELS_TOGETHER, fit_together, neighbours_of_one_size
from ktse.data.transforms import normalize
from ktse.errors import DataError
from ktse.nets.irnet import GRID_STRIDE, IRNet, edges_of_image
from ktse.ops.crf_refinement import refine_by_crf
from ktse.ops.labels import label_map
from ktse.ops.par import pixel_adaptive_refinement
from ktse.ops.random_walk import propagate
from ktse.ops.resize import resize_to
from ktse.refinement.unrefined import Unrefined


@dataclass(frozen=True, slots=True)
class ImageScores:
    """How far one image has come between two steps.

    Attributes:
        id: Of the image.
        image: (H, W, 3) uint8.
        present: (P,) classes that the channels of the foreground stand for.
        foreground: (P, h, w) their scores, on any grid: CAMs come as they are kept.
        background: (1, H, W) score of background, or (1, 1, 1) where it is the same everywhere.
    """

    id: str
    image: NDArray[np.uint8]
    present: NDArray[np.int64]
    foreground: Tensor
    background: Tensor

    def full_size(self) -> Tensor:
        """Return all scores at the size of the image, (P+1, H, W), background first; resized bilinearly."""
        size = (self.image.shape[0], self.image.shape[1])
        return torch.cat([self.background.expand(1, *size), resize_to(self.foreground[None], size)[0]])

    def labels(self) -> NDArray[np.integer[Any]]:
        """Return the label map (H, W) of the best scores."""
        return label_map(self.full_size(), self.present)

    def with_scores(self, scores: Tensor) -> ImageScores:
        """Return the same image with other scores (P+1, H, W)."""
        return replace(self, foreground=scores[1:], background=scores[:1])


def seed_scores(item: Unrefined, background_score: float, *, device: torch.device | str = "cpu") -> ImageScores:
    """Return what the first step starts from: CAMs on their grid, and a constant background."""
    foreground = torch.from_numpy(item.cams.scores.astype(np.float32)).to(device)
    return ImageScores(item.id, item.image, item.cams.present, foreground, _constant(background_score, foreground))


@torch.inference_mode()
def par_step(batch: Sequence[ImageScores], settings: RefinementSettings) -> list[ImageScores]:
    """Smooth scores along the colours of the image (PAR, REFERENCE 3.3).

    PAR is linear and treats each channel by itself. The scores go into it as they are: CAMs in [0, 1] beside the
    constant of background, without the softmax that training puts before PAR. So a constant background stays constant
    (1.01 times itself an iteration, as all channels), and a refined mask is the CAM, smoothed along the colours of the
    image, cut at the background score. Smoothing flattens a CAM and leaves the constant as it is, so that small things
    fall below it; `par_keeps_peaks` brings each channel back to the maximum that it had.

    Args:
        batch: Images of one size; they may have different numbers of classes.
        settings: Iterations and dilations of PAR, and whether peaks are kept.

    Returns:
        The images with new scores, in their order.
    """
    # images that lack a channel have zeros there, which PAR leaves at 0
    scores = torch.nn.utils.rnn.pad_sequence([item.full_size() for item in batch], batch_first=True)  # (B, most, H, W)
    images = torch.from_numpy(np.stack([item.image for item in batch])).to(scores.device)
    refined = pixel_adaptive_refinement(
        images.movedim(-1, 1) / 255,  # (B, H, W, 3) -> (B, 3, H, W)
        scores,
        dilations=settings.par_dilations,
        iterations=settings.par_iterations,
    )
    if settings.par_keeps_peaks:
        refined = refined * (_peaks(scores) / _peaks(refined).clamp_min(torch.finfo(refined.dtype).tiny))
    return [item.with_scores(row[: 1 + len(item.present)]) for item, row in zip(batch, refined, strict=True)]


@torch.inference_mode()
def crf_step(item: ImageScores, settings: RefinementSettings) -> ImageScores:
    """Refine scores by a dense CRF; they are probabilities afterwards."""
    scores = item.full_size()
    return item.with_scores(refine_by_crf(item.image, scores, settings.crf, device=scores.device))


@torch.inference_mode()
def irn_step(item: ImageScores, net: IRNet, settings: IrnSettings, data: DataSettings) -> ImageScores:
    """Let the foreground walk between the edges that IRNet sees (REFERENCE 5.6).

    CAMs that are kept on IRNet's grid go into the walk as they are; other scores are resized to it. What comes out is
    enlarged by the stride of the grid, cut to the image that IRNet saw, brought back to its size where that was another
    one, and divided by its largest value over all classes; background is a constant again.

    Args:
        item: An image with any scores of its foreground; its background is not looked at.
        net: In evaluation mode, on the device of the scores.
        settings: Canvas, walk and background.
        data: Mean and deviation of the images.

    Raises:
        DataError: The network's edges are not finite; the image is named.
    """
    size = (item.image.shape[0], item.image.shape[1])
    seen = (max(1, round(size[0] * settings.image_scale)), max(1, round(size[1] * settings.image_scale)))
    normalized = torch.from_numpy(normalize(item.image, data.mean, data.std)).movedim(-1, 0)  # (3, H, W)
    view = resize_to(normalized[None].to(item.foreground.device), seen)[0]
    edge, _ = edges_of_image(net, view, canvas=settings.canvas)
    if not bool(edge.isfinite().all()):
        raise DataError(
            f"the edge map of image '{item.id}' holds NaN or infinity.",
            remedy="Train IRNet again: remove irnet/ from the run, or the damaged image from the data.",
        )
    walked = propagate(
        resize_to(item.foreground[None], (edge.shape[-2], edge.shape[-1]))[0],
        edge,
        radius=settings.walk_radius,
        beta=settings.walk_power,
        steps=settings.walk_steps,
    )
    enlarged = F.interpolate(walked[None], scale_factor=GRID_STRIDE, mode="bilinear", align_corners=False)[0]
    cut = resize_to(enlarged[None, :, : seen[0], : seen[1]], size)[0]
    largest = cut.max().clamp_min(torch.finfo(cut.dtype).tiny)  # CAMs of 0 everywhere stay 0
    return replace(item, foreground=cut / largest, background=_constant(settings.background_score, cut))


def batches_of_one_size(items: Iterable[ImageScores], limit: int) -> Iterator[list[ImageScores]]:
    """Put neighbours of equal size together, at most `limit` of no more than PIXELS_TOGETHER; one batch at a time."""
    return neighbours_of_one_size(
        items,
        lambda item: item.image.shape,
        lambda shape: fit_together(limit, shape[0] * shape[1], PIXELS_TOGETHER),
    )


def _peaks(scores: Tensor) -> Tensor:
    return scores.amax((-2, -1), keepdim=True)


def _constant(value: float, like: Tensor) -> Tensor:
    return torch.full((1, 1, 1), value, dtype=like.dtype, device=like.device)
