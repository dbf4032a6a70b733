from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ktse.segmentation.batches import SegmentationBatch
from ktse.segmentation.task import SegmentationTask
from ktse.types import SegmenterOutput


class Given(nn.Module):
    """A segmenter that says what it was given, whatever the image."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: Tensor) -> SegmenterOutput:
        return SegmenterOutput(pre_logits=self.logits, logits=self.logits)


def slow_cross_entropy(logits: Tensor, labels: Tensor, ignore_index: int) -> float:
    losses = []
    for image, image_labels in zip(logits.tolist(), labels.tolist(), strict=True):
        for row, row_labels in enumerate(image_labels):
            for column, label in enumerate(row_labels):
                if label != ignore_index:
                    scores = [channel[row][column] for channel in image]
                    losses.append(math.log(sum(map(math.exp, scores))) - scores[label])
    return sum(losses) / len(losses)


@pytest.mark.parametrize("ignore_index", [255, 65535])
def test_mean_over_the_labelled_pixels_of_the_batch(ignore_index: int) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, 5)
    labels = torch.randint(0, 4, (2, 3, 5))
    labels[0, 1:] = ignore_index
    task = SegmentationTask(Given(logits), ignore_index=ignore_index)
    losses = task(SegmentationBatch(torch.zeros(2, 3, 3, 5), labels), 0.0)
    assert losses.terms["cross_entropy"].item() == pytest.approx(slow_cross_entropy(logits, labels, ignore_index))
    assert losses.total is losses.terms["cross_entropy"]


def test_monitors_say_what_is_predicted_and_what_is_ignored() -> None:
    logits = torch.zeros(1, 3, 1, 4)
    logits[0, :, 0] = torch.eye(3)[[0, 2, 1, 0]].T
    losses = SegmentationTask(Given(logits))(
        SegmentationBatch(torch.zeros(1, 3, 1, 4), torch.tensor([[[255, 0, 0, 0]]])), 0.0
    )
    assert {name: value.item() for name, value in losses.monitors.items()} == {
        "predicted_foreground": 0.5,
        "ignored": 0.25,
    }


def test_ignored_pixels_have_no_gradient() -> None:
    labels = torch.tensor([[[0, 255]]])
    segmenter = Given(torch.zeros(1, 2, 1, 2))
    SegmentationTask(segmenter)(SegmentationBatch(torch.zeros(1, 3, 1, 2), labels), 0.0).total.backward()
    assert segmenter.logits.grad is not None
    assert segmenter.logits.grad[0, :, 0].tolist() == [[-0.5, 0.0], [0.5, 0.0]]


def test_a_batch_without_labels_has_loss_zero_and_can_be_stepped() -> None:
    segmenter = Given(torch.randn(1, 2, 1, 2))
    loss = SegmentationTask(segmenter)(
        SegmentationBatch(torch.zeros(1, 3, 1, 2), torch.full((1, 1, 2), 255)), 0.0
    ).total
    loss.backward()
    assert loss.item() == 0
    assert segmenter.logits.grad is not None
    assert not segmenter.logits.grad.any()
