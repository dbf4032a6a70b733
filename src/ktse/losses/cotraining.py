"""The losses of co-training: a network learns from trusted labels, and elsewhere from what the other one says."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ktse.types import IGNORE_INDEX


def trusted_label_loss(
    logits: Tensor,
    labels: Tensor,
    trusted: Tensor,
    boundary: Tensor,
    *,
    boundary_weight: float = 0.2,
    ignore_index: int = IGNORE_INDEX,
) -> Tensor:
    """Cross-entropy with the trusted labels; more of it along the edges of what was pasted.

    REFERENCE 6.3:   L_ce = mean( CE(o, L) m (1 + w b) )

    | symbol | meaning | argument |
    |---|---|---|
    | o | what the network says | `logits` |
    | L, m | labels, and where they are trusted | `labels`, `trusted` |
    | b, w | boundary of what was pasted, and its further weight | `boundary`, `boundary_weight` |

    The mean is over all B H W pixels: ignored ones and those that are not trusted count as 0.

    Args:
        logits: (B, L, H, W).
        labels: (B, H, W) int64.
        trusted: (B, H, W) bool.
        boundary: (B, H, W) bool.
        boundary_weight: w.
        ignore_index: Label of pixels that do not count.

    Returns:
        0-d tensor.

    Example:
        >>> import torch
        >>> labels, trusted = torch.tensor([[[0, 1, 1, 255]]]), torch.tensor([[[True, True, False, True]]])
        >>> boundary = torch.tensor([[[False, True, False, False]]])
        >>> trusted_label_loss(torch.zeros(1, 2, 1, 4), labels, trusted, boundary)  # (1 + 1.2) log 2 / 4
        tensor(0.3812)
    """
    cross_entropy = F.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="none")  # (B, H, W)
    return (cross_entropy * trusted * (1 + boundary_weight * boundary.to(cross_entropy.dtype))).mean()


def cross_label_loss(
    logits: Tensor, others_labels: Tensor, trusted: Tensor, boundary: Tensor, *, boundary_weight: float = 0.0
) -> Tensor:
    """Cross-entropy with the other network's labels, where the given labels are not trusted.

    REFERENCE 6.3:   L_cot = mean( CE(o, argmax o') (1 - m) (1 + w b) )

    The symbols are those of `trusted_label_loss`; o' is what the other network says. Labels have no gradient, so that
    only the network that learns gets one. The mean is over all B H W pixels.

    Args:
        logits: (B, L, H, W) of the network that learns.
        others_labels: (B, H, W) int64, the label that is largest with the other network.
        trusted: (B, H, W) bool.
        boundary: (B, H, W) bool.
        boundary_weight: w.

    Returns:
        0-d tensor.

    Example:
        >>> import torch
        >>> others, trusted = torch.tensor([[[0, 1]]]), torch.tensor([[[True, False]]])
        >>> cross_label_loss(torch.zeros(1, 2, 1, 2), others, trusted, trusted)  # log 2 / 2
        tensor(0.3466)
    """
    cross_entropy = F.cross_entropy(logits, others_labels, reduction="none")  # (B, H, W)
    return (cross_entropy * ~trusted * (1 + boundary_weight * boundary.to(cross_entropy.dtype))).mean()
