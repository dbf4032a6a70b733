from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ktse.ops.labels import label_map, scores_with_background
from ktse.types import CamSet


def test_scores_are_the_background_and_the_resized_cams() -> None:
    maps = np.random.default_rng(0).random((2, 3, 4)).astype(np.float16)
    scores = scores_with_background(CamSet(maps, np.array([1, 6]), (12, 15)), 0.25)
    expected = F.interpolate(torch.from_numpy(maps.astype(np.float32))[None], size=(12, 15), mode="bilinear")[0]
    assert scores.dtype == torch.float32
    assert torch.allclose(scores[1:], expected)
    assert torch.equal(scores[0], torch.full((12, 15), 0.25))


def test_no_class_leaves_background_alone() -> None:
    scores = scores_with_background(CamSet(np.zeros((0, 2, 2), np.float16), np.zeros(0, np.int64), (5, 7)), 0.25)
    assert scores.shape == (1, 5, 7)
    assert not label_map(scores, np.zeros(0, np.int64)).any()


def test_labels_equal_a_slow_loop_with_ties_to_the_first() -> None:
    scores = torch.from_numpy(np.random.default_rng(1).integers(0, 4, (4, 6, 5)) / 4)
    present = np.array([2, 3, 19])
    labels = label_map(scores, present)
    names = [0, *(present + 1).tolist()]
    for y in range(6):
        for x in range(5):
            column = scores[:, y, x].tolist()
            assert labels[y, x] == names[column.index(max(column))]


@pytest.mark.parametrize(
    ("last", "kind"), [(253, np.uint8), (254, np.uint16)], ids=["label 254", "label 255 is a class"]
)
def test_labels_that_would_meet_the_ignore_index_take_two_bytes(last: int, kind: type) -> None:
    labels = label_map(torch.tensor([[[0.0]], [[1.0]]]), np.array([last]))
    assert labels.dtype == kind
    assert labels.item() == last + 1
