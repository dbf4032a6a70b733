"""Label maps for many images: read one after the other, predicted, written; what cannot be read is passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktse.data.faults import message_of
from ktse.data.image_files import Images
from ktse.data.image_io import write_label_map
from ktse.errors import DataError
from ktse.segmentation.probabilities_file import ProbabilitiesFile
from ktse.segmentation.segmenter import Segmenter
from ktse.segmentation.tiles import Piece

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FileOf = Callable[[str], Path]
"""From the id of an image to the file of what is made of it."""

NAMED = 3
"""Images that an error describes; the others are counted."""


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

    def together(image: NDArray[np.uint8]) -> int:
        seen = max(int(image.shape[0] * image.shape[1]), (settings.inference_size or 0) ** 2)
        return min(batch, settings.tile_size**2 // seen)

    for chosen, stack in _batches(_readable(images, indices, faults), together):
        ids = [images.ids[index] for index in chosen]
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


def refuse_faults(faults: Sequence[DataError], *, images: int, fabric: Fabric | None = None) -> None:
    """Raise one error about all images that could not be read, in every process; nothing when there are none.

    Args:
        faults: What this process found.
        images: Images that were to be done, by all processes.
        fabric: All processes have to come here; None for a process that is alone.

    Raises:
        DataError: Some process found something; the first images are named.
    """
    found = _of_all_processes(faults, fabric)
    if not found:
        return
    if len(found) == images == 1:
        raise found[0]
    more = len(found) - NAMED
    named = " ".join(message_of(fault) for fault in found[:NAMED]) + (f" And {more} more." if more > 0 else "")
    remedies = dict.fromkeys(fault.remedy for fault in found[:NAMED] if fault.remedy)
    raise DataError(
        f"{len(found)} of {images} images could not be read, the others are done. {named}", remedy=" ".join(remedies)
    )


def _of_all_processes(faults: Sequence[DataError], fabric: Fabric | None) -> list[DataError]:
    import torch.distributed as dist

    if fabric is None or not (dist.is_available() and dist.is_initialized()):
        return list(faults)
    own = [(message_of(fault), fault.remedy) for fault in faults]
    gathered: list[list[tuple[str, str]]] = [[] for _ in range(fabric.world_size)]
    dist.all_gather_object(gathered, own)
    return [DataError(message, remedy=remedy) for of_process in gathered for message, remedy in of_process]


def _readable(
    images: Images, indices: Iterable[int], faults: list[DataError]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the images that can be read with their indices, and note what is wrong with the others."""
    for index in indices:
        try:
            image = images.image(index)
        except DataError as fault:
            faults.append(fault)
        else:
            yield index, image


def _batches(
    images: Iterable[tuple[int, NDArray[np.uint8]]], together: Callable[[NDArray[np.uint8]], int]
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Stack neighbours of one size, as many as may be `together`; a large image goes alone, at once and uncopied."""
    chosen: list[int] = []
    stack: list[NDArray[np.uint8]] = []
    for index, image in images:
        if stack and image.shape != stack[0].shape:
            yield chosen, np.stack(stack)
            chosen, stack = [], []
        chosen.append(index)
        stack.append(image)
        if len(stack) >= together(image):
            yield chosen, image[None] if len(stack) == 1 else np.stack(stack)
            chosen, stack = [], []
    if stack:
        yield chosen, np.stack(stack)
