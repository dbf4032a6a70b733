"""L_cls: the tags are predicted from the pooled CAM."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def classification_loss(logits: Tensor, tags: Tensor) -> Tensor:
    """Ask the image as a whole for its tags: the multi-label soft margin loss.

    Eq. (2):   L_cls = - 1/K sum_c [ y^c log sigmoid(q^c) + (1 - y^c) log(1 - sigmoid(q^c)) ], averaged over the images

    | symbol | meaning | argument |
    |---|---|---|
    | q | tag logits of the anchor, from gated pyramid pooling | `logits` |
    | y | image-level tags | `tags` |

    Gradient reaches the logits. The published code is the same (REFERENCE 3.2).

    Args:
        logits: (B, K).
        tags: (B, K) in {0, 1}.

    Returns:
        0-d tensor; 0 for an empty batch.

    Example:
        >>> import torch
        >>> classification_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]]))  # log 2
        tensor(0.6931)
    """
    total = F.binary_cross_entropy_with_logits(logits, tags.to(logits.dtype), reduction="sum")
    return total / max(logits.numel(), 1)
