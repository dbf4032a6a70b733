"""One part alone: blurred scores follow the edges of an image by PAR. No recipe, no run, no training.

python examples/one_part.py
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

import ktse
from ktse.metrics.confusion import confusion_matrix, mean_iou
from ktse.ops.par import pixel_adaptive_refinement


def blurred_and_refined(images: int = 12) -> tuple[float, float]:
    """Return the mIoU of blurred true masks before and after refinement, in percent."""
    data = ktse.Shapes("val", count=images)
    labels = data.classes.num_labels
    before, after = np.zeros((labels, labels), np.int64), np.zeros((labels, labels), np.int64)
    for index in range(images):
        truth = data.mask(index)
        image = torch.from_numpy(data.image(index)).permute(2, 0, 1)[None] / 255  # (H, W, 3) → (1, 3, H, W)
        one_hot = F.one_hot(torch.from_numpy(truth).long(), labels).permute(2, 0, 1)[None].float()  # → (1, L, H, W)
        blurred = F.interpolate(F.avg_pool2d(one_hot, 8), size=truth.shape, mode="bilinear")  # as coarse as a CAM
        refined = pixel_adaptive_refinement(image, blurred, iterations=3)
        before += confusion_matrix(truth, blurred[0].argmax(0).numpy(), labels)
        after += confusion_matrix(truth, refined[0].argmax(0).numpy(), labels)
    return 100 * float(mean_iou(before)), 100 * float(mean_iou(after))


if __name__ == "__main__":
    print("mIoU of blurred masks {:.1f}, after PAR {:.1f}".format(*blurred_and_refined()))
