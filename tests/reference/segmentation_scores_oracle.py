"""Scores of label maps pixel by pixel, slow and plain."""

import numpy as np


def count_pairs(truth, prediction, num_labels, ignore_index=255):
    matrix = np.zeros((num_labels, num_labels), np.int64)
    for true, predicted in zip(np.ravel(truth), np.ravel(prediction), strict=True):
        if true != ignore_index:
            matrix[true, predicted] += 1
    return matrix


def threshold_labels(scores, present, threshold):
    """Background at the threshold beside the classes in one stack of the scores' type; the first largest wins."""
    count, height, width = scores.shape
    labels = np.zeros((height, width), np.int64)
    for row in range(height):
        for column in range(width):
            best = scores.dtype.type(threshold)
            for channel in range(count):
                if scores[channel, row, column] > best:
                    best = scores[channel, row, column]
                    labels[row, column] = present[channel] + 1
    return labels


def union_shares(truth, prediction, label, ignore_index=255):
    """(IoU, over-expansion, under-activation) of a label as sets of pixels; None where it does not occur."""
    counted = [i for i, value in enumerate(np.ravel(truth)) if value != ignore_index]
    true = {i for i in counted if np.ravel(truth)[i] == label}
    predicted = {i for i in counted if np.ravel(prediction)[i] == label}
    union = true | predicted
    if not union:
        return None
    return tuple(len(part) / len(union) for part in (true & predicted, predicted - true, true - predicted))
