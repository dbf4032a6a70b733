"""Sums over the images that have a mask, by one process and by several."""

import numpy as np
import pytest

from ktse.errors import DataError
from ktse.evaluation.counting import count, reading_label_map


def pixels_of(id_, truth):
    return np.array([truth.size, int(id_[-1])])


def test_images_without_mask_count_nothing(in_memory):
    dataset = in_memory([np.zeros((2, 3), np.uint8), None, np.zeros((4, 5), np.uint8)])
    counted = count(dataset, pixels_of, (2,), what="count", fabric=None)
    assert (counted.matrices.tolist(), counted.images) == ([6 + 20, 0 + 2], 2)


def test_processes_share_the_images(in_memory, processes):
    dataset = in_memory([np.zeros((2, number + 1), np.uint8) for number in range(5)])
    counted = [count(dataset, pixels_of, (2,), what="count", fabric=process) for process in processes(3)]
    assert (counted[-1].matrices.tolist(), counted[-1].images) == ([2 * 15, 10], 5)


def test_no_mask_at_all_is_an_error(in_memory):
    with pytest.raises(DataError, match="no true masks"):
        count(in_memory([None]), pixels_of, (2,), what="count", fabric=None)


def test_a_label_map_is_named_whatever_is_wrong_with_it(tmp_path):
    path = tmp_path / "a.png"
    with (
        pytest.raises(DataError, match=r"there is no label map .*a\.png' for image 'a'"),
        reading_label_map(path, "a", "x"),
    ):
        pass
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"label map '.*a\.png': too small"), reading_label_map(path, "a", "x"):
        raise DataError("too small")
