"""The plain way to learn a segmenter: one network, cross-entropy with the labels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from ktse.losses.reduction import masked_mean
from ktse.segmentation.batches import SegmentationBatch
from ktse.types import IGNORE_INDEX, LossTerms, SegmenterOutput


class SegmentationTask(nn.Module):
    """A segmenter together with its loss: what the training loop calls.

    Args:
        segmenter: Images (B, 3, H, W) to `SegmenterOutput`.
        ignore_index: Label of pixels that do not count.
    """

    def __init__(self, segmenter: nn.Module, *, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.ignore_index = ignore_index

    def start_epoch(self, epoch: int) -> None:
        """Begin an epoch; all epochs are alike."""

    def forward(self, batch: SegmentationBatch, epoch: float) -> LossTerms:
        """Return the loss of a batch as `cross_entropy`: the mean over its labelled pixels, 0 when there are none."""
        output: SegmenterOutput = self.segmenter(batch.images)
        per_pixel = F.cross_entropy(
            output.logits.float(), batch.labels, ignore_index=self.ignore_index, reduction="none"
        )  # (B, H, W)
        loss = masked_mean(per_pixel, batch.labels != self.ignore_index)
        return LossTerms({"cross_entropy": loss}, loss)
