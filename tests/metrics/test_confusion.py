"""Confusion matrix, IoU and failure shares against sets of pixels, by hand, and as properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.errors import DataError
from ktse.metrics.confusion import confusion_matrix, failure_shares, iou, mean_failure_shares, mean_iou
from reference.segmentation_scores_oracle import count_pairs, union_shares

LABELS = 4


def maps(random_seed, ignored=0.2, shape=(5, 6), kind=np.uint8):
    generator = np.random.default_rng(random_seed)
    truth = generator.integers(0, LABELS, shape).astype(kind)
    truth[generator.random(shape) < ignored] = 255
    return truth, generator.integers(0, LABELS, shape).astype(kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.int64], ids=lambda kind: kind.__name__)
def test_counts_of_pairs(kind):
    truth, prediction = maps(0, kind=kind)
    matrix = confusion_matrix(truth, prediction, LABELS)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, count_pairs(truth, prediction, LABELS))


def test_tensors_and_batches_count_like_arrays():
    truth, prediction = maps(1, shape=(3, 4, 5))
    expected = sum(confusion_matrix(t, p, LABELS) for t, p in zip(truth, prediction, strict=True))
    got = confusion_matrix(torch.from_numpy(truth), torch.from_numpy(prediction), LABELS)
    np.testing.assert_array_equal(got, expected)


def test_all_ignored_counts_nothing():
    matrix = confusion_matrix(np.full((2, 2), 255), np.zeros((2, 2), np.int64), LABELS)
    assert matrix.sum() == 0
    assert np.isnan(mean_iou(matrix))
    assert np.isnan(mean_failure_shares(matrix)).all()


def test_other_ignore_index():
    truth = np.array([[300, 65535]], np.uint16)
    matrix = confusion_matrix(truth, np.array([[300, 1]], np.uint16), 301, ignore_index=65535)
    assert matrix.sum() == matrix[300, 300] == 1


def test_prediction_of_an_ignored_pixel_does_not_matter():
    assert confusion_matrix(np.array([[255, 1]]), np.array([[255, 1]]), 2).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        ([[0, 1]], [[0, 2]], "prediction holds label 2, expected 0 to 1"),
        ([[0, 1]], [[0, 255]], "prediction holds label 255"),
        ([[0, 1]], [[0, -1]], "prediction holds label -1"),
        ([[0, 7]], [[0, 1]], "true mask holds label 7"),
        ([[0, 1]], [[0.0, 1.0]], "prediction holds float64"),
        ([[0, 1]], [[0], [1]], r"prediction is \(2, 1\), the true mask \(1, 2\)"),
    ],
    ids=["label", "ignore in prediction", "negative", "true label", "float", "shape"],
)
def test_wrong_labels_are_named(truth, prediction, message):
    with pytest.raises(DataError, match=message):
        confusion_matrix(np.array(truth), np.array(prediction), 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_shares_are_those_of_sets_of_pixels(random_seed):
    truth, prediction = maps(random_seed, shape=(3, 3))
    matrix = confusion_matrix(truth, prediction, LABELS)
    over, under = failure_shares(matrix)
    for label in range(LABELS):
        expected = union_shares(truth, prediction, label)
        got = (iou(matrix)[label], over[label], under[label])
        if expected is None:
            assert np.isnan(got).all()
        else:
            assert got == pytest.approx(expected)
            assert sum(got) == pytest.approx(1)


def test_perfect_prediction():
    truth, _ = maps(3)
    matrix = confusion_matrix(truth, np.where(truth == 255, 0, truth), LABELS)
    assert iou(matrix).tolist() == [1] * LABELS
    assert mean_failure_shares(matrix) == (0, 0)


def test_swapping_truth_and_prediction_swaps_the_failures():
    truth, prediction = maps(4, ignored=0)
    over, under = failure_shares(confusion_matrix(truth, prediction, LABELS))
    swapped_over, swapped_under = failure_shares(confusion_matrix(prediction, truth, LABELS))
    np.testing.assert_allclose(over, swapped_under)
    np.testing.assert_allclose(under, swapped_over)


def test_renaming_labels_permutes_the_scores():
    truth, prediction = maps(5, ignored=0)
    order = np.array([2, 0, 3, 1])
    renamed = iou(confusion_matrix(order[truth], order[prediction], LABELS))
    np.testing.assert_allclose(renamed[order], iou(confusion_matrix(truth, prediction, LABELS)))


def test_mean_iou_against_the_published_formula():
    truth, prediction = maps(6, shape=(40, 40))
    matrix = confusion_matrix(truth, prediction, LABELS)

    def published(matrix):
        hits = np.diag(matrix)
        return (hits / (matrix.sum(0) + matrix.sum(1) - hits + 1e-10)).mean()

    assert mean_iou(matrix) == pytest.approx(published(matrix), abs=1e-9)
    absent = np.pad(matrix, (0, 1))  # a label that occurs nowhere
    assert mean_iou(absent) == pytest.approx(mean_iou(matrix))
    assert published(absent) == pytest.approx(published(matrix) * LABELS / (LABELS + 1))


def test_means_of_failures_leave_background_out():
    over, under = mean_failure_shares(np.array([[50, 10, 0], [5, 25, 0], [0, 15, 5]]))
    # class 1: FP 25, FN 5, union 55; class 2: FP 0, FN 15, union 20
    assert over == pytest.approx((25 / 55 + 0) / 2)
    assert under == pytest.approx((5 / 55 + 15 / 20) / 2)


def test_scores_of_several_matrices_at_once():
    matrices = np.stack([confusion_matrix(*maps(seed), LABELS) for seed in (7, 8)])
    np.testing.assert_array_equal(iou(matrices), np.stack([iou(matrix) for matrix in matrices]))
    np.testing.assert_array_equal(mean_iou(matrices), [mean_iou(matrix) for matrix in matrices])
    np.testing.assert_array_equal(failure_shares(matrices)[1][0], failure_shares(matrices[0])[1])
    assert mean_failure_shares(matrices)[0].shape == (2,)
