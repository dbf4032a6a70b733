"""Label maps for plain images, in a folder of one's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ktse.data.image_files import Images
from ktse.engine.share_images import share_images
from ktse.engine.together import decided
from ktse.errors import DataError
from ktse.segmentation.label_images import label_images
from ktse.segmentation.prediction_folder import PredictionFolder
from ktse.segmentation.segmenter import Segmenter

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def predict_files(
    segmenter: Segmenter,
    images: Images,
    out: Path | str,
    *,
    probabilities: bool = False,
    overwrite: bool = False,
    batch: int = 1,
    fabric: Fabric | None = None,
) -> int:
    """Write `out/ID.png` for each image: a palette PNG of its size, 0 background, k + 1 class k.

    Images are read one at a time. What is there already from the same model with the same settings is kept. An image
    that cannot be read does not stop the others; it is reported when these are done.

    Args:
        segmenter: Predicts, with the settings of its recipe.
        images: `ktse.data.image_files.list_images(...)`, or any data set; neither tags nor masks are looked at.
        out: Folder to write to; made when it is not there.
        probabilities: Write `out/ID.npz` too: array `probabilities`, (L, H, W) float16, the final ones (after the CRF
            where there is one). It has 2 L bytes a pixel before compression.
        overwrite: Make everything anew, also what another model or other settings have made there.
        batch: Most images of one size that are predicted together.
        fabric: Processes, each of which takes its share; None for this process alone.

    Returns:
        How many images there were predictions of already.

    Raises:
        DataError: Some images cannot be read; the predictions of the others are there.
        InputError: `out` is a file, holds what another model or somebody else has made, or holds the images.
        StoppedError: Stopped by Ctrl-C or SIGTERM; what is finished is kept and the same call does the rest.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ktse.data.image_io import read_label_map
        >>> from ktse.data.shapes import Shapes
        >>> from ktse.recipes import load_recipe
        >>> from ktse.segmentation.segmenter import build_network
        >>> recipe, images = load_recipe("demo"), Shapes("val", count=2)
        >>> network = build_network(recipe.segmentation, num_labels=images.classes.num_labels, weights=None)
        >>> segmenter = Segmenter(network, images.classes, recipe)
        >>> with TemporaryDirectory() as folder:
        ...     already = predict_files(segmenter, images, folder)
        ...     read_label_map(Path(folder) / f"{images.ids[0]}.png").shape
        (96, 96)
    """
    folder = PredictionFolder(Path(out), with_probabilities=probabilities)

    def claim() -> list[int]:
        locked.enter_context(folder.lock())
        folder.claim(segmenter, images, overwrite=overwrite)
        return [index for index, id_ in enumerate(images.ids) if not folder.is_done(id_)]

    def work(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        return label_images(
            segmenter, images, todo, label_map=folder.label_map,
            probabilities=folder.probabilities if probabilities else None, batch=batch, report=report,
        )  # fmt: skip

    with ExitStack() as locked:
        left = decided(claim, fabric)
        share_images("predictions", left, work, images=len(images.ids), fabric=fabric)
    return len(images.ids) - len(left)
