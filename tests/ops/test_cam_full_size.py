from __future__ import annotations

import numpy as np
import pytest
import torch

from ktse.ops.cam import full_size_scores
from ktse.types import CamSet


@pytest.mark.parametrize("size", [(9, 9), (4, 13)], ids=["up", "odd"])
def test_constant_maps_stay_constant_at_full_size(size: tuple[int, int]) -> None:
    scores = full_size_scores(CamSet(np.full((2, 3, 4), 0.25, np.float16), np.array([0, 1]), size))
    assert tuple(scores.shape) == (2, *size)
    torch.testing.assert_close(scores, torch.full_like(scores, 0.25))


def test_no_class_gives_no_map() -> None:
    none = CamSet(np.zeros((0, 2, 2), np.float16), np.zeros(0, np.int64), (6, 5))
    assert tuple(full_size_scores(none).shape) == (0, 6, 5)
