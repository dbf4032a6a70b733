"""Scores of label maps and of CAMs, streamed: one image in memory at a time, shared among processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktse.artifacts import RunDirectory, read_cams
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.data.image_io import read_label_map
from ktse.errors import DataError
from ktse.evaluation.counting import LabelMap, count, largest_for, reading_label_map
from ktse.evaluation.label_maps import as_folder, refuse_gaps, refuse_other_classes
from ktse.evaluation.protocol import protocol_of
from ktse.evaluation.score import Score
from ktse.metrics.confusion import confusion_matrix, mean_iou
from ktse.metrics.thresholds import sweep
from ktse.ops.cam import full_size_scores

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def evaluate(dataset: Dataset, predictions: Path, *, stage: str = "predictions", recipe: Recipe | None = None) -> Score:
    """Score label maps, whoever made them.

    Args:
        dataset: Images with true masks; those without are left out, and counted in the protocol.
        predictions: Folder that holds `ID.png` for every image with a mask, or a .zip of such files at any depth.
        stage: What the label maps are called in tables.
        recipe: The recipe that made them, for the protocol; None if it is not known, which the protocol then says.

    Raises:
        DataError: The data set has no masks; label maps are missing, of another size, or hold an unknown label, or
            their classes are not those of the data set; the archive is damaged, hostile or holds anything else.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ktse.data.image_io import write_label_map
        >>> from ktse.data.shapes import Shapes
        >>> data = Shapes("val", count=2)
        >>> with TemporaryDirectory() as folder:
        ...     for index, id_ in enumerate(data.ids):
        ...         write_label_map(Path(folder) / f"{id_}.png", data.mask(index))
        ...     evaluate(data, Path(folder)).miou
        100.0
    """
    refuse_other_classes(dataset, predictions)
    with as_folder(predictions, dataset.ids) as folder:
        score = score_label_maps(dataset, folder, stage=stage, recipe=recipe)
    if recipe is not None:
        return score
    return replace(score, protocol=replace(score.protocol, origins=(f"label maps of {predictions.resolve().name}",)))


def score_label_maps(
    dataset: Dataset, folder: Path, *, stage: str, recipe: Recipe | None = None, fabric: Fabric | None = None
) -> Score:
    """Score the label maps `ID.png` of a folder; as `evaluate`, shared among the processes of `fabric`."""
    refuse_gaps(dataset, folder, stage=stage)
    num_labels, ignore_index = dataset.classes.num_labels, dataset.classes.ignore_index

    def matrix_of(id_: str, truth: LabelMap) -> NDArray[np.int64]:
        path = folder / f"{id_}.png"
        with reading_label_map(path, id_, stage):
            labels = read_label_map(path, max_pixels=largest_for(truth))
            return confusion_matrix(truth, labels, num_labels, ignore_index)

    counted = count(dataset, matrix_of, (num_labels, num_labels), what=f"score {stage}", fabric=fabric)
    return Score(
        stage=stage,
        class_names=dataset.classes.names,
        matrix=counted.matrices,
        protocol=protocol_of(stage, dataset, recipe, images=counted.images),
    )


def score_seeds(
    dataset: Dataset, run: RunDirectory, recipe: Recipe, *, fabric: Fabric | None = None
) -> tuple[Score, Score]:
    """Score the CAMs of a run as seeds, at every threshold of the recipe's sweep and at its fixed one.

    CAMs are resized to the image (bilinear), as the published evaluation sees them (REFERENCE 4.2).

    Args:
        dataset: Images with true masks whose CAMs are in the run.
        run: Holds `cams/ID.npz`.
        recipe: Gives the sweep, the fixed threshold, and the protocol.
        fabric: Processes that share the images.

    Returns:
        The score at the threshold that is best on these masks, and the score at the fixed threshold. The first has
        seen the masks it is measured on; its protocol says so.

    Raises:
        DataError: The data set has no masks; CAMs are missing, damaged, or of another image; they are named.
    """
    settings, classes = recipe.localization, dataset.classes
    thresholds = np.array([*sweep_thresholds(*settings.sweep), settings.seed_threshold])

    def matrices_of(id_: str, truth: LabelMap) -> NDArray[np.int64]:
        path = run.cams(id_)
        cams = read_cams(path)
        if cams.size != truth.shape:
            _refuse_mask_of_another_size(dataset, id_, truth)  # else it is the CAMs that are
        try:
            if cams.size != truth.shape:
                raise DataError(f"made for an image of {cams.size}, the true mask is {truth.shape}.")
            return sweep(
                full_size_scores(cams).numpy(), cams.present, truth, thresholds, classes.count, classes.ignore_index
            )
        except DataError as error:
            raise DataError(f"CAMs '{path}': {error}", remedy="Run localize again.") from error

    shape = (len(thresholds), classes.num_labels, classes.num_labels)
    counted = count(dataset, matrices_of, shape, what="score seeds", fabric=fabric)
    protocol = protocol_of("seeds", dataset, recipe, images=counted.images)
    best = int(mean_iou(counted.matrices[:-1]).argmax())

    def score(index: int, **source: Any) -> Score:
        threshold = float(thresholds[index])
        return Score(
            stage="seeds",
            class_names=classes.names,
            matrix=counted.matrices[index],
            protocol=replace(protocol, threshold=threshold, **source),
        )

    return score(best, threshold_source="masks"), score(len(thresholds) - 1, threshold_source="fixed")


def _refuse_mask_of_another_size(dataset: Dataset, id_: str, truth: LabelMap) -> None:
    height, width = dataset.image(dataset.ids.index(id_)).shape[:2]
    if truth.shape != (height, width):
        raise DataError(
            f"the true mask of image '{id_}' is {truth.shape}, the image {(height, width)} (height, width).",
            remedy="Mend the mask or take it away; `ktse data check` finds all of them.",
        )


def sweep_thresholds(first: float, last: float, step: float) -> list[float]:
    """Return the thresholds from the first to the last, both included, without the dust of repeated addition.

    Example:
        >>> sweep_thresholds(0.1, 0.3, 0.1)
        [0.1, 0.2, 0.3]
    """
    return [round(first + number * step, 9) for number in range(round((last - first) / step) + 1)]
