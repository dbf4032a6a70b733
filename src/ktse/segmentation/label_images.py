"""Label maps for many images: read one after the other, predicted, written; what cannot be read is passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ktse.data.faults import noted
from ktse.data.image_files import Images
from ktse.data.image_io import write_label_map
from ktse.data.size_batches import fit_together, neighbours_of_one_size, stacked
from ktse.errors import DataError
from ktse.segmentation.probabilities_file import ProbabilitiesFile
from ktse.segmentation.segmenter import Segmenter
from ktse.segmentation.tiles import Piece

FileOf = Callable[[str], Path]
"""From the id of an image to the file of what is made of it."""


def label_images(
    segmenter: Segmenter,
    images: Images,
    indices: Iterable[int],
    *,
    label_map: FileOf,
    probabilities: FileOf | None = None,
    batch: int = 1,
    report: Callable[[int], None],
) -> list[DataError]:
    """Write the label map of each image, as a palette PNG of its size.

    Neighbours of one size are predicted together as long as no more pixels are seen of them than a tile has: memory
    depends on the largest image and on the size of a tile, not on `batch`.

    Args:
        segmenter: Predicts.
        images: Where the images are read.
        indices: Which of them, and in which order.
        label_map: File of each label map (.png).
        probabilities: File of each image's probabilities (.npz), written before its label map; None for none.
        batch: Most images that are predicted together.
        report: Told after each tile how many images have become ready; may raise to stop the work.

    Returns:
        What is wrong with the images that could not be read.
    """
    faults: list[DataError] = []
    settings = segmenter.recipe.segmentation

    def together(shape: tuple[int, ...]) -> int:
        seen = max(shape[0] * shape[1], (settings.inference_size or 0) ** 2)
        return fit_together(batch, seen, settings.tile_size**2)

    readable = _readable(images, indices, faults)
    for chosen in neighbours_of_one_size(readable, lambda item: item[1].shape, together):
        ids, stack = [images.ids[index] for index, _ in chosen], stacked([image for _, image in chosen])
        shape = (segmenter.classes.num_labels, stack.shape[1], stack.shape[2])
        with ExitStack() as opened:
            files = [opened.enter_context(ProbabilitiesFile(probabilities(id_), shape)) for id_ in ids if probabilities]

            def watch(piece: Piece, files: Sequence[ProbabilitiesFile] = files) -> None:
                for number, file in enumerate(files):
                    file.add(piece, number)
                report(0)

            maps = segmenter.predict_batch(stack, watch=watch)
        for id_, labels in zip(ids, maps, strict=True):
            write_label_map(label_map(id_), labels)
        report(len(ids))
    return faults


def _readable(
    images: Images, indices: Iterable[int], faults: list[DataError]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the images that can be read with their indices, and note what is wrong with the others."""
    for index in indices:
        with noted(faults):
            yield index, images.image(index)
