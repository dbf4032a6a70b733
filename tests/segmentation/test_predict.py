from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.image_io import read_label_map
from ktse.errors import DataError, StoppedError, WeightsError
from ktse.recipes.components import PLAIN
from ktse.segmentation.predict import predict, predictions_key
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.segmentation.segmenter_file import write_segmenter
from ktse.segmentation.train import segmenter_file


class Untagged(Dataset):
    """Images of several sizes of which nothing but the pixels may be asked for."""

    def __init__(self, names: tuple[str, ...]) -> None:
        ids = [f"photos/{number}" for number in range(6)]
        super().__init__(
            name="photos", split="new", classes=Classes(names), ids=ids, tags=np.zeros((6, len(names)), np.bool_),
            has_masks=False,
        )  # fmt: skip

    def image(self, index: int) -> np.ndarray:
        shape = (20 + index // 2, 30 - index // 2, 3)
        return np.random.default_rng(index).integers(0, 256, shape, dtype=np.uint8)

    def mask(self, index: int) -> None:
        raise AssertionError("predictions need no masks")


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """The plain one: images at their own size, no CRF."""
    return replace(recipe, segmentation=PLAIN)


@pytest.fixture
def trained(run: RunDirectory, recipe: Recipe, dataset: Dataset) -> Segmenter:
    """A segmenter in the run, with random weights."""
    network = build_network(recipe.segmentation, num_labels=dataset.classes.num_labels, weights=None)
    segmenter = Segmenter(network, dataset.classes, recipe)
    run.stage("segmenter").begin("trained")
    write_segmenter(segmenter_file(run), segmenter)
    run.stage("segmenter").finish("trained")
    return segmenter


def test_each_image_gets_the_label_map_that_the_segmenter_gives(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, trained: Segmenter
) -> None:
    photos = Untagged(dataset.classes.names)
    predict(photos, replace(recipe, runtime={"inference_batch": 4}), run=run)
    for index, id_ in enumerate(photos.ids):
        written = read_label_map(run.prediction(id_))
        assert written.shape == photos.image(index).shape[:2]
        assert np.array_equal(written, trained.predict(photos.image(index)))
    assert run.stage("predictions").is_done(predictions_key(photos, recipe, run=run))


def test_views_are_those_of_the_recipe_and_normalisation_that_of_the_training(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, trained: Segmenter
) -> None:
    other = replace(recipe, segmentation={"mirror": True, "scales": (0.5, 2.0)}, data={"mean": (0.9, 0.9, 0.9)})
    predict(dataset, other, run=run)
    views = replace(recipe, segmentation={"mirror": True, "scales": (0.5, 2.0)})
    expected = Segmenter(trained.network, trained.classes, views).predict(dataset.image(2))
    assert np.array_equal(read_label_map(run.prediction(dataset.ids[2])), expected)


def test_a_rerun_does_only_the_rest(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, trained: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def watched(self: Dataset, index: int) -> np.ndarray:
        seen.append(index)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return read(self, index)

    read = type(dataset).image
    monkeypatch.setattr(type(dataset), "image", watched)
    with pytest.raises(StoppedError, match="predictions stopped"):
        predict(dataset, recipe, run=run)
    assert seen == [0, 1, 2]
    finished = len(run.stage("predictions").done_ids())
    predict(dataset, recipe, run=run)
    assert seen == [0, 1, 2, *range(finished, 10)]
    predict(dataset, recipe, run=run)
    assert len(seen) == 13 - finished, "what is done is not done again"
    predict(dataset, replace(recipe, segmentation={"mirror": True}), run=run)
    assert seen[-10:] == [*range(10)], "other views are other predictions"


def test_a_broken_image_does_not_stop_the_others(recipe: Recipe, run: RunDirectory, trained: Segmenter) -> None:
    class WithHole(Untagged):
        broken = True

        def image(self, index: int) -> np.ndarray:
            if self.broken and index in (1, 4):
                raise DataError(f"image '{index}.jpg' is empty.", remedy="Copy it anew.")
            return super().image(index)

    photos = WithHole(trained.classes.names)
    with pytest.raises(DataError, match=r"2 of 6 images failed.*'1\.jpg' is empty.*'4\.jpg'.*Copy it anew"):
        predict(photos, recipe, run=run)
    assert len(run.stage("predictions").done_ids()) == 4
    assert not run.stage("predictions").is_done(predictions_key(photos, recipe, run=run))
    photos.broken = False
    predict(photos, recipe, run=run)
    assert run.stage("predictions").is_done(predictions_key(photos, recipe, run=run))


class OneOfTwo:
    """What a stage asks of the second of two processes."""

    global_rank, world_size, device = 1, 2, "cpu"

    def barrier(self) -> None:
        """Wait for nobody."""


def test_each_process_does_its_share(dataset: Dataset, recipe: Recipe, run: RunDirectory, trained: Segmenter) -> None:
    run.stage("predictions").begin(predictions_key(dataset, recipe, run=run))
    predict(dataset, recipe, run=run, fabric=OneOfTwo())  # type: ignore[arg-type] # stands for Fabric
    assert run.stage("predictions").done_ids() == set(dataset.ids[1::2])
    assert not run.stage("predictions").is_done(predictions_key(dataset, recipe, run=run))


def test_without_a_segmenter_there_are_no_predictions(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    with pytest.raises(WeightsError, match="Run train_segmenter first"):
        predict(dataset, recipe, run=run)


def test_images_of_other_classes_are_refused(recipe: Recipe, run: RunDirectory, trained: Segmenter) -> None:
    with pytest.raises(DataError, match=r"knows .*, but photos has the classes \['tree'\]"):
        predict(Untagged(("tree",)), recipe, run=run)
    assert not list(run.predictions.rglob("*.png"))
