"""Means over a part of a tensor that stay defined when the part is empty."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

ClassReduction = Literal["all", "present"]


def masked_mean(values: Tensor, mask: Tensor, *, count: Tensor | None = None) -> Tensor:
    """Average the values where the mask is true; 0, still part of the graph, where it is true nowhere.

    Args:
        values: Any shape. What lies outside the mask may be infinite or NaN.
        mask: bool, broadcastable to the values.
        count: 0-d number to divide by; None for the number of places where the mask is true.

    Returns:
        0-d tensor.

    Example:
        >>> masked_mean(torch.tensor([1.0, 3.0, 8.0]), torch.tensor([True, True, False]))
        tensor(2.)
        >>> masked_mean(torch.tensor([1.0]), torch.tensor([False]))
        tensor(0.)
    """
    mask = mask.expand_as(values)
    kept = torch.where(mask, values, 0)
    return kept.sum() / (mask.sum() if count is None else count).clamp(min=1)


def class_mean(values: Tensor, present: Tensor, *, over: ClassReduction, region: Tensor | None = None) -> Tensor:
    """Average per-class values of the present classes: over all K classes, or over the present ones alone.

    The published code divides by all K classes, absent ones counting as 0, which makes a loss of 20 classes twenty
    times smaller on an image of one class; the paper extracts the present classes first (REFERENCE 3.4 #7, #16).

    Args:
        values: (B, K, ...).
        present: (B, K, ...) in {0, 1}, broadcastable to the values.
        over: What is divided by: `all` classes or the `present` ones.
        region: (B, 1, ...) bool, the only cells that count; None for all.

    Returns:
        0-d tensor, 0 when nothing counts.

    Example:
        >>> values, present = torch.tensor([[6.0, 2.0]]), torch.tensor([[1.0, 0.0]])
        >>> class_mean(values, present, over="all"), class_mean(values, present, over="present")
        (tensor(3.), tensor(6.))
    """
    is_present = (present > 0).expand_as(values)
    counted = torch.ones_like(is_present) if over == "all" else is_present
    if region is not None:
        counted = counted & region
    return masked_mean(values, is_present & counted, count=counted.sum())
