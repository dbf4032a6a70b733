from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ktse.data.dataset import Dataset
from ktse.data.folder import Folder
from ktse.data.image_io import read_image
from ktse.errors import DataError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    coarse = Image.fromarray(pixels)
    for name in ("a", "b"):
        coarse.resize((400, 300)).save(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "train.csv").write_text("image,tags\na.jpg,cat\nb.jpg,dog\n")
    return tmp_path


def test_a_small_image_is_read_from_the_file_however_the_data_set_was_cut(photos: Path) -> None:
    whole = Folder(photos)
    expected = read_image(photos / "images" / "b.jpg", longest_side=40)
    cuts: tuple[Dataset, ...] = (whole.subset([1]), whole.reduced(40).subset([1]), whole.subset([1]).reduced(40))
    assert np.array_equal(whole.small_image(1, 40), expected)
    for cut in cuts:
        assert np.array_equal(cut.small_image(0, 40), expected)
    assert np.array_equal(cuts[1].image(0), expected)
    assert cuts[1].small_image(0, 100).shape == (30, 40, 3)


def test_a_large_file_is_refused_although_it_would_be_reduced(photos: Path) -> None:
    with pytest.raises(DataError, match="at most 1000 are read"):
        Folder(photos, max_pixels=1000).small_image(0, 40)
