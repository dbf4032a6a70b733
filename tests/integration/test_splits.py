from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ktse.config import replace
from ktse.errors import DataError
from ktse.recipes import load_recipe
from ktse.splits import open_splits

FOLDER = load_recipe("folder/cpu")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "train.csv").write_text("image,tags\na.png,cat\nb.png,dog\n")
    return tmp_path


def test_without_a_validation_split_the_training_images_are_predicted(photos: Path) -> None:
    splits = open_splits(FOLDER, photos)
    assert splits.scored is splits.train
    assert splits.val.ids == splits.train.ids
    unreduced = open_splits(replace(FOLDER, data={"longest_side": None}), photos)
    assert unreduced.val is unreduced.train
    (photos / "val.csv").write_text("image,tags\nb.png,dog\n")
    splits = open_splits(FOLDER, photos)
    assert (splits.train.ids, splits.scored.ids, splits.val.ids) == (("a", "b"), ("a", "b"), ("b",))


@pytest.mark.parametrize("setting", ["val_split", "score_split"])
def test_a_split_that_was_asked_for_is_not_replaced(photos: Path, setting: str) -> None:
    (photos / "val.csv").write_text("image,tags\nb.png,dog\n")
    with pytest.raises(DataError, match=r"vall.*'val'"):
        open_splits(replace(FOLDER, data={setting: "vall"}), photos)


def test_images_to_learn_from_are_reduced_and_those_to_predict_are_not(photos: Path) -> None:
    path = photos / "images" / "a.png"
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)
    splits = open_splits(replace(FOLDER, data={"longest_side": 32}), photos)
    assert [split.image(0).shape for split in (splits.train, splits.scored, splits.val)] == [
        (24, 32, 3),
        (24, 32, 3),
        (48, 64, 3),
    ]
