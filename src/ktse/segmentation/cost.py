"""What segmentation takes on this machine: the training of the segmenter, and the predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.data.image_sizes import look_at_sizes
from ktse.engine.cost import PATIENCE, StageCost, measured_images
from ktse.engine.image_faults import refuse_faults
from ktse.engine.training_cost import Phase, training_costs
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.segmentation.batches import co_training_batches, segmentation_batches, steps_per_epoch
from ktse.segmentation.label_images import label_images
from ktse.segmentation.segmenter import Segmenter
from ktse.segmentation.train import draw_network, task_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_FORWARD = 1 / 3
"""Share of a step that its forward passes take; those of co-training's online labels come to them."""


def segmentation_costs(
    train: Dataset, val: Dataset, recipe: Recipe, *, fabric: Fabric, patience: float = PATIENCE
) -> Iterator[StageCost]:
    """Measure what the segmenter and its predictions take, with new weights: nothing is fetched.

    Args:
        train: Images to learn from.
        val: Images to predict.
        recipe: What is to be run.
        fabric: One process and its device.
        patience: Seconds that a step or an image may be expected to take for it to be measured.

    Yields:
        The steps of the training, those of co-training's warm-up apart, and the predictions.

    Raises:
        InputError: The recipe's network cannot be built, an image cannot be read, or there is not enough memory.
    """
    untrained = replace(recipe, segmentation={"trunk_weights": None})
    network = draw_network(untrained, train.classes, fabric)
    yield from _steps(network, train, recipe, fabric, patience)
    yield _predictions(Segmenter(network, train.classes, recipe), val, fabric, patience)


def _steps(
    network: DeepLab | DeepLabPair, dataset: Dataset, recipe: Recipe, fabric: Fabric, patience: float
) -> Iterator[StageCost]:
    settings = recipe.segmentation
    read_here = replace(recipe, runtime={"workers": 0})

    def labels(index: int) -> NDArray[np.integer[Any]]:
        """Stand for a pseudo mask: a strip of each class that the tags name."""
        height, width, _ = dataset.image(index).shape
        shown = np.concatenate([[0], np.flatnonzero(dataset.tags[index]) + 1])
        return np.broadcast_to(np.sort(np.resize(shown, width)), (height, width))

    def phase(stage: str, epoch: int, epochs: int, parts: float) -> Phase:
        def read() -> Any:
            if settings.method == "plain":
                return next(segmentation_batches(dataset, read_here, labels, epoch=epoch))
            return next(co_training_batches(dataset, read_here, labels, _trust_all, epoch=epoch))

        return Phase(stage, epochs * steps_per_epoch(dataset, settings), epoch, read, parts)

    if settings.method == "plain":
        phases = [phase("segmenter", 0, settings.epochs, settings.batch_size)]
    else:
        pairs, warm_up = settings.batch_size // 2, min(settings.epochs, settings.co_training.warm_up_epochs)
        phases = [
            phase("segmenter: warm-up", 0, warm_up, pairs),
            phase("segmenter: online labels", warm_up, settings.epochs - warm_up, pairs * (1 + _FORWARD)),
        ]
    yield from training_costs(
        network, task_of(network, recipe, dataset.classes), settings, phases,
        workers=recipe.runtime.workers, fabric=fabric, patience=patience,
    )  # fmt: skip


def _trust_all(index: int, labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    return np.ones(labels.shape, dtype=np.bool_)


def _predictions(segmenter: Segmenter, dataset: Dataset, fabric: Fabric, patience: float) -> StageCost:
    together = segmenter.recipe.runtime.inference_batch
    with TemporaryDirectory() as folder:

        def predict(index: int) -> None:
            faults = label_images(
                segmenter, dataset, [index] * together, label_map=lambda id_: Path(folder, "labels.png"),
                batch=together, report=lambda ready: None,
            )  # fmt: skip
            refuse_faults(faults, images=together)

        cost = measured_images(predict, look_at_sizes(dataset), fabric.device, patience=patience)
    seconds = cost.seconds / together * len(dataset)
    return StageCost("predictions", len(dataset), "images", seconds, cost.memory, cost.is_whole)
