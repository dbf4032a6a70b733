"""L_ce of self-supervised regularization (SSR): the localizer learns from its own, refined pseudo labels."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from ktse.losses.reduction import masked_mean
from ktse.types import IGNORE_INDEX


class PseudoLabelLoss(NamedTuple):
    """The two parts of L_ce, before the foreground weight: 0-d tensors."""

    background: Tensor
    foreground: Tensor


def pseudo_label_loss(
    activation: Tensor,
    labels: Tensor,
    *,
    foreground_images: Tensor | None = None,
    count: Tensor | None = None,
) -> PseudoLabelLoss:
    """Cross-entropy of the activation with the pseudo labels, background and foreground apart.

    Eq. (5):   L_ce = - sum_c Y_bg^c log softmax(F)^c + w_fg Y_fg^c log softmax(F)^c

    | symbol | meaning | argument |
    |---|---|---|
    | F | activation with the background channel, at the size of the image | `activation` |
    | Y_bg, Y_fg | background and foreground pixels of the pseudo label | `labels` |
    | w_fg | weight of the foreground, applied where the terms are summed | - |

    Gradient reaches the activation; labels have none. The learned background channel is trained here and nowhere else.

    The published code clips the activation at 0 first, averages each part over its own pixels, and, on the anchor,
    counts the foreground of images with a single class alone (REFERENCE 3.4 #10 - #12). It is NaN where a part has no
    pixel; here such a part is 0.

    Args:
        activation: (B, L, H, W).
        labels: (B, H, W) int64 in 0 .. L-1, 255 = ignore.
        foreground_images: (B,) bool, images that take part in the foreground; None for all.
        count: 0-d number of pixels both parts are divided by; None for the number of their own.

    Returns:
        The background part and the foreground part.

    Example:
        >>> import torch
        >>> labels = torch.tensor([[[0, 1, 255]]])
        >>> pseudo_label_loss(torch.zeros(1, 2, 1, 3), labels)  # two equal channels: log 2
        PseudoLabelLoss(background=tensor(0.6931), foreground=tensor(0.6931))
    """
    cross_entropy = F.cross_entropy(activation, labels, ignore_index=IGNORE_INDEX, reduction="none")  # (B, H, W)
    is_background = labels == 0
    is_foreground = ~is_background & (labels != IGNORE_INDEX)
    if foreground_images is not None:
        is_foreground = is_foreground & foreground_images[:, None, None]
    return PseudoLabelLoss(
        background=masked_mean(cross_entropy, is_background, count=count),
        foreground=masked_mean(cross_entropy, is_foreground, count=count),
    )
