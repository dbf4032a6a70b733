"""Pseudo labels of a training step: the localizer's own CAM, refined by the colours of the image."""

from __future__ import annotations

import torch
from torch import Tensor

from ktse.config import LocalizationSettings
from ktse.errors import InputError
from ktse.ops.cam import normalize, select_present
from ktse.ops.par import pixel_adaptive_refinement
from ktse.ops.resize import resize_to
from ktse.types import IGNORE_INDEX


@torch.no_grad()
def pseudo_labels(
    images: Tensor,
    cam: Tensor,
    tags: Tensor,
    settings: LocalizationSettings,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Tensor:
    """Label the pixels of which the CAM, once refined by PAR, is sure.

    With `pseudo_label_input = "scores"` (published code, REFERENCE 3.3) the CAM competes twice with a constant
    background, at the foreground and at the background threshold; both competitions are refined. A pixel is foreground
    where a class wins the first, background where none wins either, 255 otherwise. With `"labels"` (Eq. 4) sure pixels
    are chosen first, and their hard labels are refined; pixels that no sure pixel reaches stay 255.

    The affinity of PAR is computed once for both competitions, for all images together; gradient there is none. The
    published code differs in cost alone (REFERENCE 7.3).

    Args:
        images: (B, 3, H, W) normalised.
        cam: (B, K, h, w) raw activation.
        tags: (B, K) in {0, 1}; only these classes are labelled.
        settings: Thresholds, normalisation of the CAM, size, neighbours and iterations of PAR, padding.
        mean: Mean that was subtracted from the images.
        std: Deviation that they were divided by.

    Returns:
        (B, H, W) int64: 0 background, k + 1 for class k, 255 where nothing is sure.

    Example:
        >>> from ktse.config import DataSettings, LocalizationSettings
        >>> images = torch.zeros(1, 3, 16, 16)
        >>> images[..., 8:] = 1  # the object fills the right half
        >>> cam = torch.zeros(1, 2, 4, 4)
        >>> cam[:, 1, :, 3:] = 1  # the CAM of the second class shows a part of it
        >>> data, tags = DataSettings(), torch.tensor([[0.0, 1.0]])
        >>> pseudo_labels(images, cam, tags, LocalizationSettings(), mean=data.mean, std=data.std)[0, 0]
        tensor([  0,   0,   0,   0,   0,   0,   0, 255,   2,   2,   2,   2,   2,   2,
                  2,   2])
    """
    _check_classes(cam.shape[1])
    size = (images.shape[-2], images.shape[-1])
    grid = (max(size[0] // settings.par_size_divisor, 1), max(size[1] // settings.par_size_divisor, 1))
    maps, classes, is_present = select_present(cam, tags)
    maps, scores = resize_to(maps, size), resize_to(normalize(maps, settings.pseudo_label_normalization), size)
    thresholds = (settings.foreground_threshold, settings.background_threshold)
    if settings.pseudo_label_input == "labels":
        evidence = resize_to(_hard_evidence(maps, scores, is_present, *thresholds), grid)
    else:
        scores = resize_to(scores, grid)
        evidence = torch.cat([_soft_evidence(scores, is_present, threshold) for threshold in thresholds], dim=1)
    refined = pixel_adaptive_refinement(
        resize_to(_colours(images, mean, std), grid),
        evidence,
        dilations=settings.par_dilations,
        iterations=settings.par_iterations,
    )
    refined = resize_to(refined, size)
    if settings.pseudo_label_input == "labels":
        labels = _winners(refined, classes).masked_fill(refined.sum(dim=1) == 0, IGNORE_INDEX)
    else:
        labels = _merge(*(_winners(competition, classes) for competition in refined.chunk(2, dim=1)))
    return labels if settings.count_padding else labels.masked_fill(is_padding(images)[:, 0], IGNORE_INDEX)


def is_padding(images: Tensor) -> Tensor:
    """Tell which pixels are canvas around a crop: exactly the mean colour, 0 in all channels (REFERENCE 2.1).

    Args:
        images: (B, 3, H, W) normalised.

    Returns:
        (B, 1, H, W) bool.

    Example:
        >>> is_padding(torch.tensor([[[[0.0, 0.0]], [[0.0, 0.1]]]]))
        tensor([[[[ True, False]]]])
    """
    return (images == 0).all(dim=1, keepdim=True)


def _soft_evidence(scores: Tensor, is_present: Tensor, background: float) -> Tensor:
    """Let the scores (B, P, h, w) of the present classes compete with a constant background: (B, 1 + P, h, w)."""
    scores = scores.masked_fill(~is_present[:, :, None, None], -torch.inf)
    return torch.cat([torch.full_like(scores[:, :1], background), scores], dim=1).softmax(dim=1)


def _hard_evidence(maps: Tensor, scores: Tensor, is_present: Tensor, foreground: float, background: float) -> Tensor:
    """Mark the sure pixels of Eq. (4): argmax F where max A >= foreground, 0 where max A <= background.

    Returns:
        (B, 1 + P, H, W) in {0, 1}; all 0 where a pixel is not sure.
    """
    absent = ~is_present[:, :, None, None]
    strongest = scores.masked_fill(absent, 0).amax(dim=1, keepdim=True)
    winner = maps.masked_fill(absent, -torch.inf).argmax(dim=1, keepdim=True)
    is_foreground = torch.zeros_like(maps).scatter(1, winner, 1) * (strongest >= foreground)
    return torch.cat([(strongest <= background).to(maps.dtype), is_foreground], dim=1)


def _winners(refined: Tensor, classes: Tensor) -> Tensor:
    """Turn refined evidence (B, 1 + P, H, W) for background and classes (B, P) into labels (B, H, W)."""
    names = torch.cat([torch.zeros_like(classes[:, :1]), classes + 1], dim=1)
    winner = refined.argmax(dim=1)
    return names.gather(1, winner.flatten(1)).view_as(winner)


def _merge(against_high: Tensor, against_low: Tensor) -> Tensor:
    """Keep the foreground that beats the high background, and the background that beats everything even when low."""
    nothing = torch.where(against_low == 0, 0, IGNORE_INDEX)
    return torch.where(against_high != 0, against_high, nothing)


def _colours(images: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """Undo the normalisation; colours are cut down to 256 steps as in the published code (REFERENCE 3.3 step 1)."""
    channels = torch.tensor((mean, std), dtype=torch.float32, device=images.device)[:, :, None, None]
    colours = images * channels[1] + channels[0]
    return (colours * 255).clamp(0, 255).floor() / 255


def _check_classes(num_classes: int) -> None:
    """Refuse more classes than there are labels below 255."""
    if num_classes >= IGNORE_INDEX:
        raise InputError(
            f"pseudo labels know {IGNORE_INDEX - 1} classes, the localizer has {num_classes}.",
            remedy="Set the weights of background, foreground, joint_background and joint_foreground to 0.",
        )
