"""The plain way to learn a segmenter: one network, cross-entropy with the labels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

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
        logits = output.logits.float()
        is_labelled = batch.labels != self.ignore_index
        per_pixel = F.cross_entropy(logits, batch.labels, ignore_index=self.ignore_index, reduction="none")  # (B, H, W)
        loss = masked_mean(per_pixel, is_labelled)
        return LossTerms({"cross_entropy": loss}, loss, monitors=monitors(logits.argmax(1), is_labelled))


def monitors(predictions: Tensor, is_labelled: Tensor) -> dict[str, Tensor]:
    """Return what shows that a training has gone wrong.

    Args:
        predictions: (..., H, W) labels that the network gives.
        is_labelled: (..., H, W) bool, False where the label is ignored.

    Returns:
        `predicted_foreground`, the share of pixels that are not given to the background, and `ignored`, the share of
        pixels whose label is ignored.

    Example:
        >>> import torch
        >>> monitors(torch.tensor([[0, 0, 0, 2]]), torch.tensor([[True, True, False, False]]))
        {'predicted_foreground': tensor(0.2500), 'ignored': tensor(0.5000)}
    """
    return {"predicted_foreground": (predictions != 0).float().mean(), "ignored": (~is_labelled).float().mean()}
