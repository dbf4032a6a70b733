"""Dense CRF as a recipe asks for it: what it starts from, whose implementation, and where it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.config.crf import CrfSettings
from ktse.errors import InputError, MissingExtraError
from ktse.ops.dense_crf import checked_pixels, dense_crfs, unary_from_labels
from ktse.ops.mean_field import SMALLEST_PROBABILITY


def refine_by_crf(
    image: NDArray[np.uint8], scores: Tensor, settings: CrfSettings, *, device: torch.device | str | None = None
) -> Tensor:
    """Refine the scores of one image by a dense CRF.

    Args:
        image: (H, W, 3) uint8.
        scores: (L, H, W) of the labels that can be in the image, not negative.
        settings: Of the CRF. With `unary="labels"` it starts from the label of the highest score, with "scores" from
            the scores divided by their sum.
        device: Where our implementation runs; None stands for the device of the scores. pydensecrf knows the CPU alone.

    Returns:
        (L, H, W) probabilities of dtype and device of the scores; all 1 for a single label.

    Raises:
        InputError: Shapes, types or settings that do not fit, scores that are negative or not finite.
        MissingExtraError: pydensecrf is asked for and not installed.

    Example:
        >>> image = np.zeros((6, 8, 3), np.uint8)
        >>> image[:, 4:] = 200
        >>> scores = torch.zeros(2, 6, 8)
        >>> scores[0, :, :5] = scores[1, :, 5:] = 0.4  # one column short of the bright half
        >>> refine_by_crf(image, scores, CrfSettings()).argmax(0)[0]
        tensor([0, 0, 0, 0, 1, 1, 1, 1])
    """
    return refine_several_by_crf(image, [scores], settings, device=device)[0]


def refine_several_by_crf(
    image: NDArray[np.uint8],
    several: Sequence[Tensor],
    settings: CrfSettings,
    *,
    device: torch.device | str | None = None,
) -> list[Tensor]:
    """Refine several scores of one image, each by a CRF of its own; ours share their lattices and every filtering.

    Args:
        image: (H, W, 3) uint8.
        several: (L, H, W) scores as of `refine_by_crf`; L may differ.
        settings: As of `refine_by_crf`.
        device: As of `refine_by_crf`.

    Returns:
        As many (L, H, W) probabilities as there are scores.

    Raises:
        InputError: As of `refine_by_crf`.
        MissingExtraError: As of `refine_by_crf`.

    Example:
        >>> image = np.zeros((6, 8, 3), np.uint8)
        >>> scores = [torch.rand(2, 6, 8), torch.rand(3, 6, 8)]  # as of two thresholds
        >>> [len(refined) for refined in refine_several_by_crf(image, scores, CrfSettings())]
        [2, 3]
    """
    pixels = checked_pixels(image, several, name="scores")
    refined = [torch.ones_like(scores) for scores in several]
    undecided = [number for number, scores in enumerate(several) if len(scores) > 1]
    if not undecided:
        return refined
    unaries = [_unary(several[number], settings) for number in undecided]
    if settings.implementation == "pydensecrf":
        results = [_by_pydensecrf(pixels, unary, settings) for unary in unaries]
    else:
        results = dense_crfs(
            pixels,
            unaries,
            iterations=settings.iterations,
            gaussian=settings.gaussian,
            bilateral=settings.bilateral,
            device=device,
        )
    for number, result in zip(undecided, results, strict=True):
        refined[number] = result.to(several[number])
    return refined


def _unary(scores: Tensor, settings: CrfSettings) -> Tensor:
    """Return the probabilities (L, H, W) float32 that a CRF starts from."""
    if bool((scores < 0).any()):
        raise InputError(f"scores go down to {scores.min():g}, expected none below 0.")
    if settings.unary == "labels":
        return unary_from_labels(scores.argmax(0), len(scores), confidence=settings.confidence)
    given = scores.detach().float()
    return given / given.sum(0).clamp(min=torch.finfo(given.dtype).tiny)  # where all are 0 they stay so: all are alike


def _by_pydensecrf(image: NDArray[np.uint8], probabilities: Tensor, settings: CrfSettings) -> Tensor:
    """Do what `dense_crf` does with the package pydensecrf2."""
    try:
        from pydensecrf.densecrf import DenseCRF2D
    except ImportError as error:
        raise MissingExtraError("the dense CRF of pydensecrf2, which needs Python below 3.13,", extra="crf") from error
    height, width = image.shape[:2]
    labels = len(probabilities)
    energy = -probabilities.clamp(SMALLEST_PROBABILITY, 1).log()
    field = DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(np.ascontiguousarray(energy.reshape(labels, -1).cpu().numpy()))
    if settings.gaussian is not None:
        sxy, compatibility = settings.gaussian
        field.addPairwiseGaussian(sxy=sxy, compat=compatibility)
    if settings.bilateral is not None:
        sxy, srgb, compatibility = settings.bilateral
        field.addPairwiseBilateral(sxy=sxy, srgb=srgb, rgbim=np.ascontiguousarray(image), compat=compatibility)
    return torch.from_numpy(np.array(field.inference(settings.iterations))).reshape(labels, height, width)
