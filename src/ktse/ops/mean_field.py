"""Mean field of a fully connected CRF, whatever filters its pairwise kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ktse.errors import InputError

Kernel = tuple[Callable[[Tensor], Tensor], float]
"""A filter of (N, C) values, which returns a new tensor, and the weight of its messages."""

SMALLEST_PROBABILITY = 1e-5  # a label that was given 0 can still be won back (default of pydensecrf)
_MANY_LABELS = 16  # from here on torch's softmax fills the lanes of a processor


def mean_fields(several: Sequence[Tensor], kernels: Sequence[Kernel], *, iterations: int) -> list[Tensor]:
    """Approximate the marginals of CRFs that have the same pixels and kernels, but unaries and labels of their own.

    Each repeats the step in the docstring of `ktse.ops.dense_crf.dense_crf`; the filters see the labels of all at once,
    which costs little more than those of one.

    Args:
        several: (N, L) float32 probabilities of N pixels; L may differ.
        kernels: Pairwise kernels over the same pixels.
        iterations: Steps, at least 0.

    Returns:
        As many (N, L), rows sum to 1.

    Raises:
        InputError: A negative number of iterations.

    Example:
        >>> mean_fields([torch.tensor([[0.2, 0.6]]), torch.ones(1, 1)], (), iterations=3)
        [tensor([[0.2500, 0.7500]]), tensor([[1.]])]
    """
    if iterations < 0:
        raise InputError(f"iterations are {iterations}, expected 0 or more.")
    unaries = [probabilities.clamp(SMALLEST_PROBABILITY, 1).log().contiguous() for probabilities in several]
    marginals = [_softmax(unary.clone()) for unary in unaries]
    if not kernels:
        return marginals
    for _ in range(iterations):
        stacked = marginals[0] if len(marginals) == 1 else torch.cat(marginals, 1)
        parts = _messages(stacked, kernels).split_with_sizes([unary.shape[1] for unary in unaries], 1)
        marginals = [_softmax(part.add_(unary).contiguous()) for part, unary in zip(parts, unaries, strict=True)]
    return marginals


def _messages(marginals: Tensor, kernels: Sequence[Kernel]) -> Tensor:
    """Return sum_m c_m k_m Q, written into what the first kernel returns: memory decides the speed here."""
    (first, compatibility), *others = kernels
    messages = first(marginals).mul_(compatibility)
    for kernel, compatibility in others:
        messages.add_(kernel(marginals), alpha=compatibility)
    return messages


def _softmax(energy: Tensor) -> Tensor:
    """Softmax over the labels; on the CPU in place for a handful of them, where torch's is several times slower."""
    if energy.shape[1] >= _MANY_LABELS or energy.device.type != "cpu":
        return energy.softmax(1)
    energy -= energy.amax(1, keepdim=True)
    energy.exp_()
    energy /= energy @ energy.new_ones(energy.shape[1], 1)
    return energy
