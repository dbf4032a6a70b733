"""L_kt, the loss of simulated inter-image erasing (SIE): a joint image should not hide what its parts show alone."""

from __future__ import annotations

from torch import Tensor

from ktse.losses.reduction import ClassReduction, class_mean


def knowledge_transfer_loss(
    cam: Tensor,
    joint_cam: Tensor,
    present: Tensor,
    *,
    region: Tensor | None = None,
    margin: float = 0.05,
    class_reduction: ClassReduction = "all",
    detach_anchor: bool = False,
) -> Tensor:
    """Lift the activation in the joint image to that of the images seen alone.

    Eq. (3):   L_kt = ReLU( F_a^ - F_s^ ),   F^ = the channels of the classes in the image

    | symbol | meaning | argument |
    |---|---|---|
    | F_a | raw activation of the single images, laid out like the joint image | `cam` |
    | F_s | raw activation of the joint image | `joint_cam` |
    | y | classes that are compared, at each place | `present` |

    Gradient reaches both sides: the joint image is lifted and the single images are lowered, unless `detach_anchor`
    cuts the latter (paper 3.3: training becomes unstable).

    The published code subtracts a margin of 0.05, compares both halves of the joint image, in the classes of either
    image, and divides by all K classes; the paper compares the anchor's half in the anchor's classes (REFERENCE 3.4
    #7).

    Args:
        cam: (P, K, h, w).
        joint_cam: (P, K, h, w).
        present: (P, K, h, w) in {0, 1}, or (P, K, 1, 1) when it is the same everywhere.
        region: (P, 1, h, w) bool, the cells that are compared; None for all.
        margin: Difference that is forgiven.
        class_reduction: Mean over `all` classes or over the `present` ones.
        detach_anchor: Cut the gradient of the single images.

    Returns:
        0-d tensor, at least 0.

    Example:
        >>> import torch
        >>> cam, joint_cam = torch.full((1, 2, 1, 1), 1.0), torch.full((1, 2, 1, 1), 0.4)
        >>> knowledge_transfer_loss(cam, joint_cam, torch.tensor([[1.0, 0.0]])[..., None, None])  # (1 - 0.4 - 0.05) / 2
        tensor(0.2750)
    """
    single = cam.detach() if detach_anchor else cam
    return class_mean((single - joint_cam - margin).relu(), present, over=class_reduction, region=region)
