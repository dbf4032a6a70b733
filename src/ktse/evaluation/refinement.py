"""Scores of what refinement makes on its way: IR labels, label maps between two steps, masks with what is trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.image_io import read_confidence, read_label_map
from ktse.errors import DataError
from ktse.evaluation.counting import LabelMap, count, largest_for, reading_label_map
from ktse.evaluation.protocol import protocol_of
from ktse.evaluation.run import score_label_maps
from ktse.evaluation.score import Score
from ktse.metrics.confusion import confusion_matrix

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def score_ir_labels(dataset: Dataset, run: RunDirectory, recipe: Recipe, *, fabric: Fabric | None = None) -> Score:
    """Score the IR labels of a run: how many of the labelled pixels are right, and how many pixels are labelled.

    The matrix counts labelled pixels alone, as the protocol says.

    Args:
        dataset: Images with true masks whose IR labels are in the run.
        run: Holds `ir_labels/ID.png`.
        recipe: The recipe that made them, for the protocol.
        fabric: Processes that share the images.

    Raises:
        DataError: The data set has no masks; a label map is missing, of another size, or holds an unknown label.
    """
    classes = dataset.classes

    def matrices_of(id_: str, truth: LabelMap) -> NDArray[np.int64]:
        path = run.ir_label(id_)
        with reading_label_map(path, id_, "IR labels"):
            labels = read_label_map(path, max_pixels=largest_for(truth))
            labelled = _matrix_where(labels != classes.ignore_index, truth, labels, classes)
        return np.stack([_matrix_where(truth != classes.ignore_index, truth, truth, classes), labelled])

    return _score("ir_labels", dataset, recipe, matrices_of, what="score IR labels", fabric=fabric)


def score_steps(dataset: Dataset, run: RunDirectory, recipe: Recipe, *, fabric: Fabric | None = None) -> list[Score]:
    """Score the label maps after each step of refinement but the last, which makes the pseudo masks.

    A step whose label maps are not all there is left out: nothing but this score needs them.

    Args:
        dataset: Images with true masks that were refined.
        run: Holds `steps/NUMBER_STEP/ID.png`.
        recipe: Its section `refinement` names the steps.
        fabric: Processes that share the images.

    Raises:
        DataError: The data set has no masks; a label map is of another size, or holds an unknown label.
    """
    steps = recipe.refinement.steps
    scores = []
    for number, step in enumerate(steps[:-1], 1):
        if all(run.step_mask(number, step, id_).is_file() for id_ in dataset.ids):
            so_far = replace(recipe, refinement={"steps": steps[:number]})
            scores.append(
                score_label_maps(dataset, run.step(number, step), stage="steps", recipe=so_far, fabric=fabric)
            )
    return scores


def score_masks(dataset: Dataset, run: RunDirectory, recipe: Recipe, *, fabric: Fabric | None = None) -> Score:
    """Score the pseudo masks of a run, and how many of the trusted pixels are right.

    Args:
        dataset: Images with true masks that were refined.
        run: Holds `masks/ID.png` and `confidence/ID.png`.
        recipe: The recipe that made them, for the protocol.
        fabric: Processes that share the images.

    Raises:
        DataError: The data set has no masks; a file is missing, of another size, or holds an unknown label.
    """
    classes = dataset.classes

    def matrices_of(id_: str, truth: LabelMap) -> NDArray[np.int64]:
        path, path_of_trust = run.mask(id_), run.confidence(id_)
        with reading_label_map(path, id_, "masks"):
            labels = read_label_map(path, max_pixels=largest_for(truth))
            everywhere = confusion_matrix(truth, labels, classes.num_labels, classes.ignore_index)
        with reading_label_map(path_of_trust, id_, "masks"):
            is_trusted = read_confidence(path_of_trust, max_pixels=largest_for(truth))
            trusted = _matrix_where(is_trusted, truth, labels, classes)
        return np.stack([everywhere, trusted])

    return _score("masks", dataset, recipe, matrices_of, what="score masks", fabric=fabric)


def _matrix_where(part: NDArray[np.bool_], truth: LabelMap, labels: LabelMap, classes: Classes) -> NDArray[np.int64]:
    """Return the confusion matrix (L, L) of a part of the pixels."""
    if part.shape != truth.shape:
        raise DataError(f"it is {part.shape}, the true mask {truth.shape}.")
    return confusion_matrix(truth[part], labels[part], classes.num_labels, classes.ignore_index)


def _score(
    stage: str,
    dataset: Dataset,
    recipe: Recipe,
    matrices_of: Callable[[str, LabelMap], NDArray[np.int64]],
    *,
    what: str,
    fabric: Fabric | None,
) -> Score:
    """Score labels of which some are trusted, from the matrices (2, L, L) of an image: all its pixels, the trusted."""
    classes = dataset.classes
    counted = count(dataset, matrices_of, (2, classes.num_labels, classes.num_labels), what=what, fabric=fabric)
    everywhere, trusted = counted.matrices
    protocol = protocol_of(stage, dataset, recipe, images=counted.images)
    return Score(
        stage=stage,
        class_names=classes.names,
        matrix=trusted if protocol.labelled_only else everywhere,
        protocol=protocol,
        trusted_accuracy=_percentage(trusted.trace(), trusted.sum()),
        trusted_share=_percentage(trusted.sum(), everywhere.sum()),
    )


def _percentage(part: int, whole: int) -> float | None:
    return 100 * float(part) / float(whole) if whole else None
