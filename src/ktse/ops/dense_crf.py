"""Fully connected conditional random field: label scores drawn towards the colours and edges of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.errors import DataError, InputError
from ktse.ops.mean_field import Kernel, mean_fields
from ktse.ops.permutohedral import GaussianFilter, build_lattice

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
    results these are up to rounding. Memory is linear in the pixels; all runs on the device of the probabilities.
    Defaults are those of IR labels (REFERENCE 5.2).

    Gaussian sums are approximate (`ktse.ops.permutohedral`). Against the exact ones over all pairs, on drawings of
    24x32 px with three labels, 99.8 % of the pixels keep their label with the kernel of place alone and 98.6 % with the
    defaults; probabilities differ by 0.002 and 0.009 on average. Where two labels are almost balanced a whole region
    can tip over: in 24 runs on crops of photographs of 20x24 px (three settings, labels and probabilities) the worst
    kept 65 % of its labels, the mean 97 %.

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
    return dense_crfs(image, [probabilities], iterations=iterations, gaussian=gaussian, bilateral=bilateral)[0]


def dense_crfs(
    image: Tensor | NDArray[np.uint8],
    several: Sequence[Tensor],
    *,
    iterations: int = 10,
    gaussian: tuple[float, float] | None = (3.0, 3.0),
    bilateral: tuple[float, float, float] | None = (50.0, 5.0, 10.0),
    device: torch.device | str | None = None,
) -> list[Tensor]:
    """Refine several label probabilities of one image, each by a CRF of its own: `dense_crf` with the work shared.

    Args:
        image: (H, W, 3) uint8.
        several: (L, H, W) probabilities as of `dense_crf`; L may differ.
        iterations: As of `dense_crf`.
        gaussian: As of `dense_crf`.
        bilateral: As of `dense_crf`.
        device: Where the CRFs run; None stands for the device of the first probabilities.

    Returns:
        As many (L, H, W), each of dtype and device of its probabilities.

    Raises:
        InputError: As of `dense_crf`.

    Example:
        >>> image = np.zeros((6, 8, 3), np.uint8)
        >>> [refined.shape[0] for refined in dense_crfs(image, [torch.ones(2, 6, 8), torch.ones(3, 6, 8)])]
        [2, 3]
    """
    pixels = checked_pixels(image, several)
    if not several:
        return []
    place = several[0].device if device is None else torch.device(device)
    kernels = pairwise_kernels(pixels, gaussian=gaussian, bilateral=bilateral, device=place)
    flat = [given.detach().reshape(len(given), -1).T.to(place, torch.float32) for given in several]  # each (N, L)
    refined = mean_fields(flat, kernels, iterations=iterations)
    return [marginals.T.reshape(given.shape).to(given) for marginals, given in zip(refined, several, strict=True)]


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
    device: torch.device | str = "cpu",
) -> tuple[Kernel, ...]:
    """Build the kernels of an image once, for as many mean fields as need them.

    Args:
        image: (H, W, 3) uint8.
        gaussian: As of `dense_crf`.
        bilateral: As of `dense_crf`.
        device: Where they filter.

    Raises:
        InputError: A deviation that is not above 0, or so small that the lattice has too many points to number.

    Example:
        >>> kernels = pairwise_kernels(np.zeros((4, 5, 3), np.uint8), gaussian=(3, 3), bilateral=None)
        >>> [(kernel(torch.ones(20, 2)).shape, weight) for kernel, weight in kernels]
        [(torch.Size([20, 2]), 3)]
    """
    height, width = image.shape[:2]
    place = torch.device(device)
    kernels: list[Kernel] = []
    if gaussian is not None:
        _check_deviations("gaussian", gaussian[:-1])
        kernels.append((_spatial_filter(height, width, float(gaussian[0]), place), gaussian[-1]))
    if bilateral is not None:
        _check_deviations("bilateral", bilateral[:-1])
        colours = image.reshape(-1, 3).T / np.float32(bilateral[1])
        features = np.concatenate([_places(height, width, bilateral[0]), colours])
        kernels.append((_filter_of(features, place), bilateral[-1]))
    return tuple(kernels)


def checked_pixels(
    image: Tensor | NDArray[np.uint8], several: Sequence[Tensor], *, name: str = "probabilities"
) -> NDArray[np.uint8]:
    """Return the image as an array after a look at what a CRF is given.

    Args:
        image: (H, W, 3) uint8.
        several: What has to be (L, H, W) of finite floating-point numbers.
        name: What an error calls them.

    Raises:
        InputError: Something else.

    Example:
        >>> checked_pixels(torch.zeros(4, 5, 3, dtype=torch.uint8), [torch.ones(2, 4, 5)]).shape
        (4, 5, 3)
    """
    pixels = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or not pixels.size or pixels.dtype != np.uint8:
        raise InputError(f"image is {pixels.dtype} {pixels.shape}, expected uint8 (H, W, 3).")
    height, width = pixels.shape[:2]
    for values in several:
        if values.ndim != 3 or values.shape[1:] != (height, width) or not len(values):
            raise InputError(f"{name} are {tuple(values.shape)}, expected (labels, {height}, {width}) as the image.")
        if not values.is_floating_point() or not bool(values.isfinite().all()):
            raise InputError(
                f"{name} are not all finite floating-point numbers.", remedy="Look for NaN where they come from."
            )
    return cast("NDArray[np.uint8]", pixels)


@lru_cache(maxsize=_SPATIAL_FILTERS)
def _spatial_filter(height: int, width: int, deviation: float, device: torch.device) -> GaussianFilter:
    return _filter_of(_places(height, width, deviation), device)


def _filter_of(features: NDArray[np.float32], device: torch.device) -> GaussianFilter:
    """Build the filter of (d, N) features on the same lattice points as pydensecrf.

    There points come in blocks of four, and the last block is filled up with points at 0. They carry nothing, but their
    corners are part of the lattice, which shows in small dark images.
    """
    count = features.shape[1]
    filled = np.pad(features, ((0, 0), (0, -count % _BLOCK)))
    return GaussianFilter(build_lattice(torch.from_numpy(filled).to(device)).of_first(count))


def _places(height: int, width: int, deviation: float) -> NDArray[np.float32]:
    """Return x and y of each pixel in deviations, (2, H * W)."""
    rows, columns = np.indices((height, width), dtype=np.float32).reshape(2, -1)
    return np.stack([columns, rows]) / np.float32(deviation)


def _check_deviations(kernel: str, deviations: Sequence[float]) -> None:
    if not all(math.isfinite(deviation) and deviation > 0 for deviation in deviations):
        raise InputError(f"deviations of the {kernel} kernel are {tuple(deviations)}, expected numbers above 0.")
