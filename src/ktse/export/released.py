"""Checkpoints that others have released, as files that this project's stages and `load` take."""

from __future__ import annotations

from pathlib import Path

import torch

from ktse.config import Recipe
from ktse.data.classes import COCO_CLASSES, VOC_CLASSES, Classes
from ktse.engine.network_file import write_network
from ktse.errors import WeightsError
from ktse.export.bundle import save_bundle
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.nets.weight_contents import Contents, check_weights
from ktse.segmentation.segmenter import build_network


def convert_released(weights: str | Path, out: Path, recipe: Recipe, *, classes: Classes | None = None) -> Contents:
    """Write a released checkpoint under this project's names.

    A segmenter becomes a bundle, which `ktse.load` and `ktse predict` take. A localizer becomes what
    `RUN/localizer/last.safetensors` has to be, and an IRNet what `RUN/irnet/last.safetensors` has to be.

    Args:
        weights: A path, or weights known by name.
        out: File to write (.safetensors), atomically.
        recipe: The recipe that describes a segmenter, and how it predicts.
        classes: What the labels mean; None for VOC where there are 20 classes, and COCO where there are 80.

    Returns:
        What the checkpoint was.

    Raises:
        WeightsError: It cannot be read, does not fit, is a mere trunk, or is another network than the recipe describes.
    """
    if out.suffix != ".safetensors":
        raise WeightsError(f"'{out}' does not end in .safetensors.", remedy="Name it so: that is what is written.")
    contents = check_weights(weights)
    if contents.kind == "trunk":
        raise WeightsError(
            f"'{weights}' is a {contents.description}, which needs no conversion.",
            remedy="Name the file in a recipe: localization.trunk_weights or segmentation.trunk_weights.",
        )
    if contents.kind == "irnet":
        write_network(out, contents.build(), {"source": str(weights)})
        return contents
    classes = classes or _usual_classes(contents)
    if contents.kind == "localizer":
        write_network(out, contents.build(), {"classes": classes.names, "source": str(weights)})
        return contents
    _compare(contents, recipe)
    network = contents.build()
    if isinstance(network, DeepLab | DeepLabPair):
        save_bundle(out, network, recipe, classes)
    return contents


def _usual_classes(contents: Contents) -> Classes:
    count = contents.labels - (contents.kind == "segmenter")
    for usual in (VOC_CLASSES, COCO_CLASSES):
        if count == usual.count:
            return usual
    raise WeightsError(
        f"the names of the {count} classes of this {contents.kind} are not known.",
        remedy="Convert it in Python: ktse.export.released.convert_released(..., classes=Classes(...)).",
    )


def _compare(contents: Contents, recipe: Recipe) -> None:
    """Refuse a recipe whose network is another one."""
    with torch.device("meta"):
        found = contents.build()
        described = build_network(recipe.segmentation, num_labels=contents.labels, weights=None)
    shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in (found, described)]
    if shapes[0] != shapes[1]:
        raise WeightsError(
            f"the checkpoint is a {contents.description}; the recipe '{recipe.name}' describes another network.",
            remedy="Give the recipe of its training with --recipe, or set segmentation.trunk and .method.",
        )
