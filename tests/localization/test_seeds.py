from __future__ import annotations

import numpy as np

from ktse.localization.seeds import seed_labels
from ktse.types import CamSet


def test_labels_equal_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    scores = np.round(rng.random((3, 5, 7)), 1).astype(np.float32)
    present = np.array([1, 4, 11])
    labels = seed_labels(CamSet(scores, present, (5, 7)), 0.5)
    for y in range(5):
        for x in range(7):
            best = max(scores[:, y, x])
            first = next(k for k in range(3) if scores[k, y, x] == best)
            assert labels[y, x] == (present[first] + 1 if best > np.float32(0.5) else 0)


def test_no_class_is_all_background() -> None:
    labels = seed_labels(CamSet(np.zeros((0, 2, 2), np.float16), np.zeros(0, np.int64), (6, 5)), 0.3)
    assert labels.shape == (6, 5)
    assert not labels.any()


def test_many_classes_need_more_than_a_byte() -> None:
    labels = seed_labels(CamSet(np.ones((1, 1, 1), np.float32), np.array([300]), (1, 1)), 0.3)
    assert labels.dtype == np.uint16
    assert labels.item() == 301
