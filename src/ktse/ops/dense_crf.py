"""Fully connected conditional random field: label scores drawn towards the colours and edges of an image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.errors import DataError, InputError
from ktse.ops.permutohedral import GaussianFilter, build_lattice

Kernel = tuple[Callable[[Tensor], Tensor], float]
"""A filter of (N, L) values and the weight of its messages: the seam for filters on other devices."""

_SMALLEST_PROBABILITY = 1e-5  # a label that was given 0 can still be won back (default of pydensecrf)
_BLOCK = 4  # points that pydensecrf handles together
_SPATIAL_FILTERS = 2  # kept at a time, each about 50 bytes a pixel: data sets alternate between upright and wide images


def dense_crf(
    image: Tensor | NDArray[np.uint8],
    probabilities: Tensor,
    *,
    iterations: int = 10,
    gaussian: tuple[float, float] | None = (3.0, 3.0),
    bilateral: tuple[float, float, float] | None = (50.0, 5.0, 10.0),
) -> Tensor:
    """Refine label probabilities by a fully connected CRF (Krähenbühl & Koltun 2011), mean field on a lattice.

    Repeats Q_i(l) <- softmax_l( log p_i(l) + sum_m c_m sum_j k_m(i, j) Q_j(l) ), starting from Q = p, with
    k_1 ~ exp( -|x_i - x_j|^2 / 2 sxy^2 ) and k_2 ~ exp( -|x_i - x_j|^2 / 2 sxy^2 - |I_i - I_j|^2 / 2 srgb^2 ).

    | symbol | meaning |
    |---|---|
    | p | probabilities, not below 1e-5 |
    | x, I | place in px and colour (0 .. 255) of a pixel |
    | c_m | compatibility: what it costs two alike pixels to differ in label (Potts) |

    Each kernel is normalised from both sides and j = i takes part, as in the authors' code and in pydensecrf, whose
    results these are up to rounding. Gaussian sums are approximate (`ktse.ops.permutohedral`); memory is linear in the
    pixels. The filters run on the CPU; a result on the device of the probabilities is returned. Defaults are those of
    IR labels (REFERENCE 5.2).

    Args:
        image: (H, W, 3) uint8.
        probabilities: (L, H, W) of the labels that can be in the image, in [0, 1].
        iterations: Steps of the mean field; 0 normalises the probabilities only.
        gaussian: Deviation of place in px, compatibility; None leaves the kernel out.
        bilateral: Deviation of place in px, of colour in grey levels, compatibility; None leaves the kernel out.

    Returns:
        (L, H, W), they sum to 1 over the labels; dtype and device of the probabilities.

    Raises:
        InputError: Shapes, types or settings that do not fit, or probabilities that are not finite.

    Example:
        >>> image = np.zeros((6, 8, 3), np.uint8)
        >>> image[:, 4:] = 200
        >>> labels = torch.zeros(6, 8, dtype=torch.long)
        >>> labels[:, 5:] = 1  # one column short of the bright half
        >>> dense_crf(image, unary_from_labels(labels, 2)).argmax(0)[0]
        tensor([0, 0, 0, 0, 1, 1, 1, 1])
    """
    pixels = _checked_image(image)
    height, width = pixels.shape[:2]
    if probabilities.ndim != 3 or probabilities.shape[1:] != (height, width) or not len(probabilities):
        raise InputError(
            f"probabilities are {tuple(probabilities.shape)}, expected (labels, {height}, {width}) as the image."
        )
    if not probabilities.is_floating_point() or not bool(probabilities.isfinite().all()):
        raise InputError(
            "probabilities are not all finite floating-point numbers.", remedy="Look for NaN in the scores."
        )
    flat = probabilities.detach().reshape(len(probabilities), -1).T.to("cpu", torch.float32)  # (N, L)
    refined = mean_field(flat, pairwise_kernels(pixels, gaussian=gaussian, bilateral=bilateral), iterations=iterations)
    return refined.T.reshape(probabilities.shape).to(probabilities)


def unary_from_labels(labels: Tensor | NDArray[np.integer[Any]], num_labels: int, *, confidence: float = 0.7) -> Tensor:
    """Return the probabilities that stand for a hard label map: `confidence` for its label, the rest shared equally.

    Their negative logarithm is the unary energy of REFERENCE 5.2 (`gt_prob` 0.7, no label means "unsure").

    Args:
        labels: (H, W) integers in 0 .. num_labels - 1.
        num_labels: L, the labels that can be in the image.
        confidence: Probability of the label that a pixel has.

    Returns:
        (L, H, W) float32; all 1 when there is only one label.

    Raises:
        DataError: A label outside 0 .. L-1.
        InputError: A confidence outside (0, 1).

    Example:
        >>> unary_from_labels(torch.tensor([[0, 2]]), 3, confidence=0.8).movedim(0, -1)
        tensor([[[0.8000, 0.1000, 0.1000],
                 [0.1000, 0.1000, 0.8000]]])
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}, expected a number between 0 and 1.")
    indices = torch.as_tensor(labels).long()
    unknown = indices[(indices < 0) | (indices >= num_labels)]
    if len(unknown):
        raise DataError(f"label map holds label {int(unknown[0])}, expected 0 .. {num_labels - 1}.")
    if num_labels == 1:
        return torch.ones(1, *indices.shape, device=indices.device)
    others = (1 - confidence) / (num_labels - 1)
    unary = torch.full((num_labels, *indices.shape), others, device=indices.device)
    return unary.scatter_(0, indices[None], confidence)


def pairwise_kernels(
    image: NDArray[np.uint8],
    *,
    gaussian: tuple[float, float] | None,
    bilateral: tuple[float, float, float] | None,
) -> tuple[Kernel, ...]:
    """Build the kernels of an image once, for as many mean fields as need them.

    Args:
        image: (H, W, 3) uint8.
        gaussian: As of `dense_crf`.
        bilateral: As of `dense_crf`.

    Raises:
        InputError: A deviation that is not above 0, or so small that the lattice has too many points to number.

    Example:
        >>> kernels = pairwise_kernels(np.zeros((4, 5, 3), np.uint8), gaussian=(3, 3), bilateral=None)
        >>> [(kernel(torch.ones(20, 2)).shape, weight) for kernel, weight in kernels]
        [(torch.Size([20, 2]), 3)]
    """
    height, width = image.shape[:2]
    kernels: list[Kernel] = []
    if gaussian is not None:
        _check_deviations("gaussian", gaussian[:-1])
        kernels.append((_on_tensors(_spatial_filter(height, width, float(gaussian[0]))), gaussian[-1]))
    if bilateral is not None:
        _check_deviations("bilateral", bilateral[:-1])
        colours = image.reshape(-1, 3).T / np.float32(bilateral[1])
        features = np.concatenate([_places(height, width, bilateral[0]), colours])
        kernels.append((_on_tensors(_filter_of(features)), bilateral[-1]))
    return tuple(kernels)


def mean_field(probabilities: Tensor, kernels: Sequence[Kernel], *, iterations: int) -> Tensor:
    """Approximate the marginals of the CRF: the repetition in the docstring of `dense_crf`.

    Args:
        probabilities: (N, L) float32 of N pixels.
        kernels: Pairwise kernels over the same pixels.
        iterations: Steps, at least 0.

    Returns:
        (N, L), rows sum to 1.

    Raises:
        InputError: A negative number of iterations.

    Example:
        >>> mean_field(torch.tensor([[0.2, 0.6]]), (), iterations=3)
        tensor([[0.2500, 0.7500]])
    """
    if iterations < 0:
        raise InputError(f"iterations are {iterations}, expected 0 or more.")
    unary = probabilities.clamp(_SMALLEST_PROBABILITY, 1).log().contiguous()
    marginals = _softmax(unary.clone())
    for _ in range(iterations):
        energy = unary.clone()
        for kernel, compatibility in kernels:
            energy.add_(kernel(marginals), alpha=compatibility)
        marginals = _softmax(energy)
    return marginals


def _softmax(energy: Tensor) -> Tensor:
    """Softmax over the labels in place; for a handful of labels several times faster than torch's."""
    energy -= energy.amax(1, keepdim=True)
    energy.exp_()
    energy /= energy @ energy.new_ones(energy.shape[1], 1)
    return energy


def _on_tensors(kernel: GaussianFilter) -> Callable[[Tensor], Tensor]:
    return lambda values: torch.from_numpy(kernel(values.numpy()))


@lru_cache(maxsize=_SPATIAL_FILTERS)
def _spatial_filter(height: int, width: int, deviation: float) -> GaussianFilter:
    return _filter_of(_places(height, width, deviation))


def _filter_of(features: NDArray[np.float32]) -> GaussianFilter:
    """Build the filter of (d, N) features on the same lattice points as pydensecrf.

    There points come in blocks of four, and the last block is filled up with points at 0. They carry nothing, but their
    corners are part of the lattice, which shows in small dark images.
    """
    count = features.shape[1]
    lattice = build_lattice(np.pad(features, ((0, 0), (0, -count % _BLOCK))))
    return GaussianFilter(replace(lattice, corners=lattice.corners[:count], weights=lattice.weights[:count]))


def _places(height: int, width: int, deviation: float) -> NDArray[np.float32]:
    """Return x and y of each pixel in deviations, (2, H * W)."""
    rows, columns = np.indices((height, width), dtype=np.float32).reshape(2, -1)
    return np.stack([columns, rows]) / np.float32(deviation)


def _check_deviations(kernel: str, deviations: Sequence[float]) -> None:
    if not all(math.isfinite(deviation) and deviation > 0 for deviation in deviations):
        raise InputError(f"deviations of the {kernel} kernel are {tuple(deviations)}, expected numbers above 0.")


def _checked_image(image: Tensor | NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or not pixels.size or pixels.dtype != np.uint8:
        raise InputError(f"image is {pixels.dtype} {pixels.shape}, expected uint8 (H, W, 3).")
    return cast("NDArray[np.uint8]", pixels)
