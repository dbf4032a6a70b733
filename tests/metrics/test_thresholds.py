"""The one-pass sweep against thresholding pixel by pixel, at exact ties above all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.errors import DataError
from ktse.metrics.thresholds import sweep
from reference.segmentation_scores_oracle import count_pairs, threshold_labels

CLASSES = 5
THRESHOLDS = [0.1, 0.2, 0.25, 0.3, 0.5, 1.0]


def scene(random_seed, present=(1, 4), kind=np.float32, shape=(6, 7)):
    """Scores that often equal a threshold, or each other."""
    generator = np.random.default_rng(random_seed)
    levels = np.array([0.0, 0.05, *THRESHOLDS]).astype(kind)
    scores = generator.choice(levels, (len(present), *shape))
    truth = generator.choice([0, 2, 5, 255], shape).astype(np.uint8)
    return scores, np.array(present, np.int64), truth


def slow(scores, present, truth, thresholds, ignore_index=255):
    return np.stack(
        [count_pairs(truth, threshold_labels(scores, present, t), CLASSES + 1, ignore_index) for t in thresholds]
    )


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("present", [(1, 4), (4, 1, 0), (3,)], ids=str)
def test_equals_thresholding_one_by_one(kind, present):
    for random_seed in range(3):
        content = scene(random_seed, present, kind)
        np.testing.assert_array_equal(sweep(*content, THRESHOLDS, CLASSES), slow(*content, THRESHOLDS))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.sampled_from([0.0, *THRESHOLDS, 0.21, 1.5, -1.0]), min_size=1, max_size=6),
)
def test_any_thresholds_in_any_order(random_seed, thresholds):
    content = scene(random_seed, shape=(3, 4))
    np.testing.assert_array_equal(sweep(*content, thresholds, CLASSES), slow(*content, thresholds))


def test_published_range_on_continuous_scores():
    generator = np.random.default_rng(0)
    scores = generator.random((2, 8, 9)).astype(np.float32)
    truth = generator.integers(0, CLASSES + 1, (8, 9))
    thresholds = [i / 100 for i in range(10, 30)]
    got = sweep(scores, np.array([0, 3]), truth, thresholds, CLASSES)
    assert got.shape == (20, CLASSES + 1, CLASSES + 1)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, slow(scores, [0, 3], truth, thresholds))


def test_ties_by_hand():
    scores = np.array([[[0.3, 0.3]], [[0.3, 0.2]]], np.float32)  # both classes tie in the first pixel
    matrices = sweep(scores, np.array([0, 1]), np.array([[1, 2]]), [0.3, 0.29], num_classes=2)
    assert matrices[0].tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]  # a tie with the threshold is background
    assert matrices[1].tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0]]  # a tie of classes goes to the first


def test_image_without_classes_is_background():
    truth = np.array([[0, 2, 255]])
    matrices = sweep(np.zeros((0, 1, 3)), np.zeros(0, np.int64), truth, [0.1, 0.2], CLASSES)
    assert matrices.shape == (2, 6, 6)
    assert matrices[:, 0, 0].tolist() == matrices[:, 2, 0].tolist() == [1, 1]
    assert matrices.sum() == 4


def test_other_ignore_index():
    scores, present, truth = scene(0)
    wide = np.where(truth == 255, np.uint16(65535), truth)
    np.testing.assert_array_equal(
        sweep(scores, present, wide, THRESHOLDS, CLASSES, ignore_index=65535),
        sweep(scores, present, truth, THRESHOLDS, CLASSES),
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_each_matrix_counts_every_pixel_and_foreground_shrinks(random_seed):
    scores, present, truth = scene(random_seed)
    matrices = sweep(scores, present, truth, sorted(THRESHOLDS), CLASSES)
    assert (matrices.sum((1, 2)) == (truth != 255).sum()).all()
    assert (np.diff(matrices[:, :, 1:].sum((1, 2))) <= 0).all()


BAD = {
    "scores of another size": (np.zeros((1, 2, 3)), [0], np.zeros((2, 2), int), "expected \\(1, 2, 2\\)"),
    "too few classes": (np.zeros((2, 2, 2)), [0], np.zeros((2, 2), int), "expected \\(1, 2, 2\\)"),
    "class beyond K": (np.zeros((1, 2, 2)), [5], np.zeros((2, 2), int), "different ones of 0 to 4"),
    "negative class": (np.zeros((1, 2, 2)), [-1], np.zeros((2, 2), int), "different ones of 0 to 4"),
    "class twice": (np.zeros((2, 2, 2)), [1, 1], np.zeros((2, 2), int), "different ones of 0 to 4"),
    "not finite": (np.full((1, 2, 2), np.nan), [0], np.zeros((2, 2), int), "not finite"),
    "unknown true label": (np.zeros((1, 2, 2)), [0], np.full((2, 2), 9), "labels 9 to 9, expected 0 to 5"),
    "unknown true label, no class": (np.zeros((0, 2, 2)), [], np.full((2, 2), 9), "holds label 9"),
}


@pytest.mark.parametrize(("scores", "present", "truth", "message"), BAD.values(), ids=BAD)
def test_wrong_input_is_named(scores, present, truth, message):
    with pytest.raises(DataError, match=message):
        sweep(scores, np.array(present, np.int64), truth, [0.5], CLASSES)


def test_tensors_and_lists_do_as_well() -> None:
    import torch

    scores, truth = np.random.default_rng(3).random((2, 4, 5)), np.random.default_rng(4).integers(0, 4, (4, 5))
    expected = sweep(scores, np.array([0, 2]), truth, np.array([0.3, 0.6]), 3)
    tensors = sweep(
        torch.from_numpy(scores), torch.tensor([0, 2]), torch.from_numpy(truth), torch.tensor([0.3, 0.6]), 3
    )
    np.testing.assert_array_equal(tensors, expected)
    np.testing.assert_array_equal(sweep(scores, [0, 2], truth, [0.3, 0.6], 3), expected)
