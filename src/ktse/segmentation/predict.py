"""The stage of prediction: label maps from the trained segmenter, for images that need no tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ktse.artifacts import RunDirectory, stage_key
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.engine.fabric import make_fabric
from ktse.engine.image_stage import run_image_stage
from ktse.errors import DataError, WeightsError
from ktse.segmentation.inference_settings import INFERENCE_SETTINGS
from ktse.segmentation.label_images import label_images
from ktse.segmentation.segmenter import Segmenter
from ktse.segmentation.segmenter_file import read_segmenter
from ktse.segmentation.train import segmenter_file

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def predictions_key(dataset: Dataset, recipe: Recipe, *, run: RunDirectory) -> str:
    """Return the stage key of the predictions: it changes with the network, the images and how they are seen.

    Raises:
        WeightsError: The run has no trained segmenter.
    """
    segmenter = run.stage("segmenter").key
    if not segmenter:
        raise WeightsError(f"there is no trained segmenter in '{run.root}'.", remedy="Run train_segmenter first.")
    settings = recipe.segmentation.model_dump(mode="json", include=set(INFERENCE_SETTINGS))
    return stage_key("predictions", segmenter, dataset.fingerprint(), settings)


def predict(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None) -> None:
    """Write the label map of every image, as a palette PNG of its size.

    Args:
        dataset: Images; neither their tags nor their masks are looked at.
        recipe: Its section `segmentation` says how images are seen: views, tiles, CRF.
        run: Holds the trained segmenter; gets `predictions/ID.png`.
        fabric: Processes and device; each process takes its share of the images. Made from the recipe when None.

    Raises:
        WeightsError: There is no trained segmenter, or its file is damaged.
        DataError: The segmenter knows other classes, or images cannot be read; the predictions of the others are there.
        StoppedError: Stopped; finished images are kept and the same call does the rest.
    """
    fabric = fabric or make_fabric(recipe.runtime)
    key = predictions_key(dataset, recipe, run=run)
    segmenter = _segmenter(dataset, recipe, run, fabric)  # refused before anything stale is removed

    def work(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        return label_images(
            segmenter, dataset, todo, label_map=run.prediction, batch=recipe.runtime.inference_batch, report=report
        )

    run_image_stage("predictions", key, dataset.ids, work, run=run, fabric=fabric)


def _segmenter(dataset: Dataset, recipe: Recipe, run: RunDirectory, fabric: Fabric) -> Segmenter:
    """Read the segmenter of the run, to be used with the views of this recipe."""
    trained = read_segmenter(segmenter_file(run), device=fabric.device)
    if trained.classes != dataset.classes:
        raise DataError(
            f"the segmenter of '{run.root}' knows {list(trained.classes.names)}, "
            f"but {dataset.name} has the classes {list(dataset.classes.names)}.",
            remedy="Give images of the data set it was trained on.",
        )
    return trained.with_settings_of(recipe)
