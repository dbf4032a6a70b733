"""A trained segmenter as one file to give away, and back."""

from __future__ import annotations

from pathlib import Path

import torch

from ktse.artifacts import RunDirectory
from ktse.config import Recipe
from ktse.data.classes import Classes
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.segmentation.segmenter import Segmenter
from ktse.segmentation.segmenter_file import read_segmenter, write_segmenter
from ktse.segmentation.train import segmenter_file


def save_bundle(path: Path | str, model: DeepLab | DeepLabPair, recipe: Recipe, classes: Classes) -> None:
    """Write a segmenter as one safetensors file with classes, normalisation and recipe as JSON metadata.

    Args:
        path: File to write (.safetensors), atomically.
        model: The trained network, or pair of networks.
        recipe: The recipe of its training.
        classes: What its labels mean.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ktse.recipes import load_recipe
        >>> from ktse.segmentation.segmenter import build_network
        >>> recipe = load_recipe("demo")
        >>> model = build_network(recipe.segmentation, num_labels=3, weights=None)
        >>> with TemporaryDirectory() as folder:
        ...     save_bundle(Path(folder) / "pets.safetensors", model, recipe, Classes(("cat", "dog")))
        ...     load(Path(folder) / "pets.safetensors").classes.names
        ('cat', 'dog')
    """
    write_segmenter(Path(path), Segmenter(model, classes, recipe))


def load_bundle(path: Path | str, *, device: torch.device | str = "cpu") -> Segmenter:
    """Read a file of `save_bundle`, or the `last.safetensors` of a run's segmenter, which is of the same form.

    Raises:
        WeightsError: The file is missing, damaged, or holds no segmenter.
    """
    return read_segmenter(Path(path), device=device)


def load(path: Path | str, *, device: torch.device | str = "cpu") -> Segmenter:
    """Load a trained segmenter from a bundle or from the folder of a run.

    Args:
        path: A file of `save_bundle`, or a run directory.
        device: Where the network is put.

    Returns:
        An object with `predict(image)` and `classes`.

    Raises:
        WeightsError: There is no segmenter, or its file is damaged.
    """
    path = Path(path)
    return load_bundle(segmenter_file(RunDirectory(path)) if path.is_dir() else path, device=device)
