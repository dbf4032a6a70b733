"""L_global and L_local of multi-granularity alignment (MGA): the anchor and its erased copy should agree."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ktse.losses.reduction import ClassReduction, class_mean


def global_alignment_loss(
    anchor_cam: Tensor,
    erased_cam: Tensor,
    tags: Tensor,
    *,
    norm: Literal["l1", "signed"] = "l1",
    class_reduction: ClassReduction = "all",
) -> Tensor:
    """Keep the amount of activation of each class when its most striking part is erased.

    Eq. (8):   L_global = GAP(ReLU(F_a^)) - GAP(ReLU(F_m^)),   F^ = the channels of the classes in the image

    | symbol | meaning | argument |
    |---|---|---|
    | F_a, F_m | raw activation of the anchor and of the erased anchor | `anchor_cam`, `erased_cam` |
    | GAP | mean over the map | - |
    | y | tags of the anchor | `tags` |

    Gradient reaches both sides. The paper writes the difference without a norm; the published code takes its absolute
    value, and divides by all K classes (REFERENCE 3.4 #16).

    With the gated maps of GPP for F_a and F_m this stands for the "soft GPP feature" of the paper's Tab. 7. AEFT, which
    that row is named after, trains with a triplet loss on this feature; nothing says what the row itself was made with.

    Args:
        anchor_cam: (B, K, h, w).
        erased_cam: (B, K, h', w').
        tags: (B, K) in {0, 1}.
        norm: `l1` for the absolute difference, `signed` for anchor minus erased.
        class_reduction: Mean over `all` classes or over the `present` ones.

    Returns:
        0-d tensor; 0 when no image has a class.

    Example:
        >>> import torch
        >>> anchor_cam, erased_cam = torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), 0.8)
        >>> global_alignment_loss(anchor_cam, erased_cam, torch.ones(1, 1)).round(decimals=3)
        tensor(0.3000)
    """
    difference = anchor_cam.relu().mean(dim=(2, 3)) - erased_cam.relu().mean(dim=(2, 3))
    return class_mean(difference.abs() if norm == "l1" else difference, tags, over=class_reduction)


def local_alignment_loss(
    anchor_cam: Tensor,
    erased_cam: Tensor,
    tags: Tensor,
    *,
    kept: Tensor | None = None,
    margin: float = 0.05,
    class_reduction: ClassReduction = "all",
) -> Tensor:
    """Lift the anchor's activation to what is found when its most striking part is erased.

    Eq. (9):   L_local = ReLU( F_m^ - F_a^ ),   F^ = the channels of the classes in the image

    | symbol | meaning | argument |
    |---|---|---|
    | F_a, F_m | raw activation of the anchor and of the erased anchor | `anchor_cam`, `erased_cam` |
    | y | tags of the anchor | `tags` |

    Gradient reaches both sides: the anchor is lifted, the erased copy is lowered (which holds it back from the
    background, paper 3.4). The published code subtracts a margin of 0.05, counts erased cells as 0, and divides by
    all K classes (REFERENCE 3.4 #17).

    Args:
        anchor_cam: (B, K, h, w).
        erased_cam: (B, K, h, w).
        tags: (B, K) in {0, 1}.
        kept: (B, 1, h, w) bool, cells that were not erased; the others give 0 but stay in the mean. None for all.
        margin: Difference that is forgiven.
        class_reduction: Mean over `all` classes or over the `present` ones.

    Returns:
        0-d tensor, at least 0.

    Example:
        >>> import torch
        >>> anchor_cam, erased_cam = torch.tensor([[[[0.0, 0.5]]]]), torch.tensor([[[[0.45, 0.0]]]])
        >>> local_alignment_loss(anchor_cam, erased_cam, torch.ones(1, 1)).round(decimals=3)  # (0.4 + 0) / 2
        tensor(0.2000)
    """
    excess = (erased_cam - anchor_cam - margin).relu()
    if kept is not None:
        excess = excess * kept
    return class_mean(excess, tags[:, :, None, None], over=class_reduction)
