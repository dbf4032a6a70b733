from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.data.image_files import ImageFiles, list_images
from ktse.data.image_io import read_label_map
from ktse.data.shapes import Shapes
from ktse.errors import DataError, InputError, StoppedError
from ktse.recipes.components import PLAIN
from ktse.segmentation.predict_files import predict_files
from ktse.segmentation.segmenter import Segmenter, build_network

CLASSES = Classes(("cat", "dog"))


@pytest.fixture
def segmenter(recipe: Recipe) -> Segmenter:
    recipe = replace(recipe, segmentation=PLAIN)
    torch.manual_seed(0)
    return Segmenter(build_network(recipe.segmentation, num_labels=3, weights=None), CLASSES, recipe)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for number, name in enumerate(["a.png", "b.jpg", "sub/c.png", "sub/d.png"]):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 25 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def times(folder: Path) -> dict[str, int]:
    """Return when the label maps of a folder were written."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def test_each_image_gets_its_label_map(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    images = list_images(photos)
    assert predict_files(segmenter, images, str(tmp_path / "out")) == 0
    for index, id_ in enumerate(images.ids):
        labels = read_label_map(tmp_path / "out" / f"{id_}.png")
        assert np.array_equal(labels, segmenter.predict(images.image(index)))
    state = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert state["labels"] == ["background", "cat", "dog"]
    assert state["settings"]["scales"] == [1.0]


def test_a_data_set_will_do(segmenter: Segmenter, tmp_path: Path) -> None:
    shapes = Shapes("val", count=2, size=32)
    predict_files(segmenter, shapes, tmp_path)
    assert sorted(times(tmp_path)) == sorted(f"{id_}.png" for id_ in shapes.ids)


def test_a_rerun_does_what_is_missing(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    images, out = list_images(photos), tmp_path / "out"
    predict_files(segmenter, images, out)
    before = times(out)
    (out / "b.png").unlink()
    assert predict_files(segmenter, images, out) == 3
    after = times(out)
    assert [name for name in after if after[name] != before[name]] == ["b.png"]
    assert predict_files(segmenter, images, out, overwrite=True) == 0
    assert not set(times(out).items()) & set(after.items())


def test_probabilities_that_are_missing_are_made(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    images, out = list_images(photos), tmp_path / "out"
    predict_files(segmenter, images, out)
    assert predict_files(segmenter, images, out, probabilities=True) == 0
    assert predict_files(segmenter, images, out, probabilities=True) == 4
    with np.load(out / "sub" / "d.npz") as file:
        assert file["probabilities"].shape == (3, 20, 28)


def test_replaced_predictions_are_those_of_the_other_model(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    images, out = list_images(photos), tmp_path / "out"
    predict_files(segmenter, images, out)
    other = segmenter.with_settings_of(replace(segmenter.recipe, segmentation={"mirror": True, "scales": (0.5,)}))
    with pytest.raises(InputError, match="another model or with other settings"):
        predict_files(other, images, out)
    assert predict_files(other, images, out, overwrite=True) == 0
    assert np.array_equal(read_label_map(out / "a.png"), other.predict(images.image(0)))


def test_a_broken_file_is_reported_at_the_end(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    (photos / "a.png").write_text("not a picture")
    with pytest.raises(DataError, match=r"1 of 4 images failed.*a\.png"):
        predict_files(segmenter, list_images(photos), tmp_path / "out")
    assert sorted(times(tmp_path / "out")) == ["b.png", "sub/c.png", "sub/d.png"]


def test_stopping_keeps_what_is_finished(
    segmenter: Segmenter, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: ImageFiles, index: int) -> np.ndarray:
        if index == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, index)

    original = ImageFiles.image
    monkeypatch.setattr(ImageFiles, "image", read)
    with pytest.raises(StoppedError, match=r"finished images are kept. Run the same command again"):
        predict_files(segmenter, list_images(photos), tmp_path / "out")
    monkeypatch.undo()
    assert sorted(times(tmp_path / "out")) == ["a.png", "b.png"]
    assert predict_files(segmenter, list_images(photos), tmp_path / "out") == 2


class OneOfTwo:
    """What is asked of the second of two processes."""

    global_rank, world_size, device = 1, 2, "cpu"

    def barrier(self) -> None:
        """Wait for nobody."""


def test_each_process_does_its_share(segmenter: Segmenter, photos: Path, tmp_path: Path) -> None:
    predict_files(segmenter, list_images(photos), tmp_path / "out", fabric=OneOfTwo())  # type: ignore[arg-type]
    assert sorted(times(tmp_path / "out")) == ["b.png", "sub/d.png"]
