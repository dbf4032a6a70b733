"""Checkpoints that others have released, as files that this project's stages and `load` take."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ktse.artifacts import RunDirectory, digest_of_file, stage_key
from ktse.config import Recipe
from ktse.data.classes import COCO_CLASSES, VOC_CLASSES, Classes
from ktse.engine.network_file import write_network
from ktse.errors import InputError, WeightsError
from ktse.export.bundle import save_bundle
from ktse.localization.train import build, localizer_file
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.nets.irnet import build_irnet
from ktse.nets.known_weights import find_weights
from ktse.nets.weight_contents import Contents, check_weights
from ktse.refinement.irn_training import irnet_file
from ktse.segmentation.segmenter import build_network
from ktse.segmentation.train import segmenter_file

STAGES = {"localizer": localizer_file, "irnet": irnet_file, "segmenter": segmenter_file}
"""Kinds of networks, which are also stages of a run, and where a run has their file."""

USUAL_CLASSES = {"voc12": VOC_CLASSES, "coco14": COCO_CLASSES}
"""Kinds of data whose classes are known before they are opened."""


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
    contents = _trained(weights)
    if contents.kind == "segmenter":
        _compare(contents, recipe)
    _write(contents, out, recipe, source=str(weights), classes=classes)
    return contents


def adopt_released(weights: str | Path, recipe: Recipe, *, run: RunDirectory) -> Contents:
    """Put a released checkpoint into a run, in the place of one that would be trained there.

    The stages after it go on as after a training. The stage keeps the file's name and checksum as its origin, which
    stands beside every score that comes of it.

    Args:
        weights: A path, or weights known by name.
        recipe: Describes the network and the data, VOC or COCO.
        run: Gets `localizer/`, `irnet/` or `segmenter/last.safetensors`; an adopted network there is replaced.

    Returns:
        What the checkpoint was.

    Raises:
        WeightsError: The checkpoint cannot be read, does not fit, is a mere trunk, or is another network or of other
            classes than the recipe describes.
        InputError: The run has trained such a network itself, or somebody else writes there.
    """
    contents, path = _trained(weights), find_weights(weights)
    _compare(contents, recipe)
    classes = _classes_of_data(contents, recipe)
    checksum = digest_of_file(path)
    section = {"localizer": recipe.localization, "irnet": recipe.refinement.irn, "segmenter": recipe.segmentation}
    key = stage_key("adopted", checksum, section[contents.kind], recipe.data)
    stage = run.stage(contents.kind)
    with run.lock():
        if stage.key not in (None, key) and not stage.origin:
            raise InputError(
                f"'{stage.folder}' holds a network that this run has trained.",
                remedy="Choose another run directory, or remove the folder.",
            )
        stage.begin(key)
        _write(contents, STAGES[contents.kind](run), recipe, source=path.name, classes=classes)
        stage.finish(key, origin=f"{path.name} (sha256 {checksum[:16]})")
    return contents


def _trained(weights: str | Path) -> Contents:
    """Recognise a checkpoint that somebody has trained for the method.

    Raises:
        WeightsError: As `check_weights`; or it is a trunk, from which a training starts.
    """
    contents = check_weights(weights)
    if contents.kind == "trunk":
        raise WeightsError(
            f"'{weights}' is a {contents.description}, which needs no conversion: a training starts from it.",
            remedy="Name the file in a recipe: localization.trunk_weights or segmentation.trunk_weights.",
        )
    return contents


def _write(contents: Contents, out: Path, recipe: Recipe, *, source: str, classes: Classes | None) -> None:
    """Write a network with what its reader has to know."""
    if contents.kind == "irnet":
        write_network(out, contents.build(), {"source": source})
        return
    classes = classes or _usual_classes(contents)
    network = contents.build()
    if isinstance(network, DeepLab | DeepLabPair):
        save_bundle(out, network, recipe, classes)
    else:
        write_network(out, network, {"classes": classes.names, "source": source})


def _usual_classes(contents: Contents) -> Classes:
    for usual in USUAL_CLASSES.values():
        if _count(contents) == usual.count:
            return usual
    raise WeightsError(
        f"the names of the {_count(contents)} classes of this {contents.kind} are not known.",
        remedy="Convert it in Python: ktse.export.released.convert_released(..., classes=Classes(...)).",
    )


def _classes_of_data(contents: Contents, recipe: Recipe) -> Classes | None:
    """Return the classes of the recipe's data, which have to be as many as the network knows; None for an IRNet."""
    if contents.kind == "irnet":
        return None
    classes = USUAL_CLASSES.get(recipe.data.kind)
    if classes is None or classes.count != _count(contents):
        knows = f"{classes.count} classes" if classes else f"classes of its own (data.kind={recipe.data.kind})"
        raise WeightsError(
            f"the checkpoint is a {contents.description}; the recipe '{recipe.name}' is for {knows}.",
            remedy="Give a recipe of the data that it was trained on, as voc12/full.",
        )
    return classes


def _count(contents: Contents) -> int:
    """Return the number of foreground classes."""
    return contents.labels - (contents.kind == "segmenter")


def _compare(contents: Contents, recipe: Recipe) -> None:
    """Refuse a recipe whose network is another one."""
    with torch.device("meta"):
        found, described = contents.build(), _described(contents, recipe)
    shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in (found, described)]
    if shapes[0] != shapes[1]:
        raise WeightsError(
            f"the checkpoint is a {contents.description}; the recipe '{recipe.name}' describes another network.",
            remedy="Give the recipe of its training with --recipe, or set its trunk with --set.",
        )


def _described(contents: Contents, recipe: Recipe) -> nn.Module:
    """Build the network of this kind that a recipe describes."""
    match contents.kind:
        case "localizer":
            return build(recipe.localization, num_classes=contents.labels, weights=None)
        case "irnet":
            return build_irnet(recipe.refinement.irn.trunk)
        case _:
            return build_network(recipe.segmentation, num_labels=contents.labels, weights=None)
