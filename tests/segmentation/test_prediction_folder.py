from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.data.image_files import list_images
from ktse.data.image_io import write_label_map
from ktse.data.shapes import Shapes
from ktse.errors import DataError, InputError
from ktse.recipes.components import PLAIN
from ktse.segmentation.prediction_folder import PredictionFolder
from ktse.segmentation.segmenter import Segmenter, build_network

IMAGES = Shapes("val", count=2, size=32)
CLASSES = Classes(("cat", "dog"))


def draw(recipe: Recipe) -> Segmenter:
    return Segmenter(build_network(recipe.segmentation, num_labels=3, weights=None), CLASSES, recipe)


@pytest.fixture
def segmenter(recipe: Recipe) -> Segmenter:
    return draw(replace(recipe, segmentation=PLAIN))


@pytest.fixture
def folder(segmenter: Segmenter, tmp_path: Path) -> PredictionFolder:
    """A folder with finished predictions."""
    folder = PredictionFolder(tmp_path / "out")
    folder.claim(segmenter, IMAGES)
    for id_ in IMAGES.ids:
        write_label_map(folder.label_map(id_), np.zeros((2, 2), np.uint8))
        folder.probabilities(id_).write_bytes(b"")
    return folder


def done(folder: PredictionFolder) -> list[bool]:
    return [folder.is_done(id_) for id_ in IMAGES.ids]


def test_the_same_segmenter_goes_on(folder: PredictionFolder, segmenter: Segmenter) -> None:
    assert done(folder) == [True, True]
    again = Segmenter(segmenter.network, CLASSES, replace(segmenter.recipe, segmentation={"epochs": 99}))
    folder.claim(again, IMAGES)
    assert done(folder) == [True, True], "settings of the training have no part in a prediction"


def test_probabilities_may_be_wanted(folder: PredictionFolder) -> None:
    folder.probabilities(IMAGES.ids[0]).unlink()
    assert done(folder) == [True, True]
    assert done(PredictionFolder(folder.root, with_probabilities=True)) == [False, True]


def test_overwriting_removes_the_predictions_of_these_images(folder: PredictionFolder, segmenter: Segmenter) -> None:
    folder.claim(segmenter, IMAGES.subset([1]), overwrite=True)
    assert done(folder) == [True, False]
    assert not folder.probabilities(IMAGES.ids[1]).exists(), "they might be taken for those of the next label map"


@pytest.mark.parametrize("change", ["views", "network", "classes", "normalisation"])
def test_predictions_of_two_segmenters_are_not_mixed(
    folder: PredictionFolder, segmenter: Segmenter, change: str
) -> None:
    recipe = segmenter.recipe
    other = {
        "views": segmenter.with_settings_of(replace(recipe, segmentation={"mirror": True})),
        "network": draw(recipe),
        "classes": Segmenter(segmenter.network, Classes(("dog", "cat")), recipe),
        "normalisation": Segmenter(segmenter.network, CLASSES, replace(recipe, data={"mean": (0, 0, 0)})),
    }[change]
    with pytest.raises(InputError, match=r"another model or with other settings .*Give another folder, or --overwrite"):
        folder.claim(other, IMAGES)
    with pytest.raises(InputError, match="Give another folder, or empty this one"):
        folder.claim(other, IMAGES.subset([0]), overwrite=True)
    assert done(folder) == [True, True]
    folder.claim(other, IMAGES, overwrite=True)
    assert done(folder) == [False, False]
    folder.claim(other, IMAGES)


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_somebody_else_are_never_replaced(segmenter: Segmenter, tmp_path: Path, overwrite: bool) -> None:
    folder = PredictionFolder(tmp_path)
    folder.label_map(IMAGES.ids[1]).parent.mkdir(parents=True, exist_ok=True)
    folder.label_map(IMAGES.ids[1]).write_bytes(b"mine")
    with pytest.raises(InputError, match=r"\.png' is there and was not made by a prediction"):
        folder.claim(segmenter, IMAGES, overwrite=overwrite)
    assert folder.label_map(IMAGES.ids[1]).read_bytes() == b"mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_images_are_never_replaced(folder: PredictionFolder, segmenter: Segmenter, overwrite: bool) -> None:
    """Not even in a folder where there are predictions already."""
    Image.new("RGB", (4, 4)).save(folder.root / "photo.png")
    with pytest.raises(InputError, match=r"a prediction would replace the image '.*photo\.png'"):
        folder.claim(segmenter, list_images(folder.root / "photo.png"), overwrite=overwrite)
    assert (folder.root / "photo.png").is_file()


def test_a_damaged_note_is_nobodys(folder: PredictionFolder, segmenter: Segmenter) -> None:
    (folder.root / "predictions.json").write_text("[]")
    with pytest.raises(InputError, match="another model"):
        folder.claim(segmenter, IMAGES)


def test_ids_stay_below_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leads out"):
        PredictionFolder(tmp_path).label_map("../outside")


def test_one_writer_at_a_time(folder: PredictionFolder) -> None:
    with (
        folder.lock(),
        pytest.raises(InputError, match="another process writes in"),
        PredictionFolder(folder.root).lock(),
    ):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"a\.png' is a file. Give a folder"):
        PredictionFolder(tmp_path / "a.png")
