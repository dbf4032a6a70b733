"""A segmenter in one file that needs nothing else: safetensors with classes, normalisation and recipe as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ktse.config import Recipe
from ktse.data.classes import Classes
from ktse.data.faults import message_of
from ktse.engine.network_file import read_network, write_network
from ktse.errors import InputError, WeightsError
from ktse.overrides import explained
from ktse.segmentation.segmenter import Segmenter, build_network

_BEFORE_METHODS: dict[str, Any] = {
    "method": "plain",
    "view_merge": "mean",
    "inference_size": None,
    "use_crf": False,
}
"""What files of recipes without `segmentation.method` were: one network, each view of an image at its own size."""


def write_segmenter(path: Path, segmenter: Segmenter, **more: Any) -> None:
    """Write a segmenter atomically.

    Only `classes` and `recipe` are read again; the rest is for people and programs that look into the file.

    Args:
        path: File to write (.safetensors).
        segmenter: The segmenter; its parameters and buffers are copied to the CPU first.
        more: Further JSON values for the metadata.
    """
    recipe = segmenter.recipe
    metadata = {
        "classes": list(segmenter.classes.names),
        "num_labels": segmenter.classes.num_labels,
        "trunk": recipe.segmentation.trunk,
        "normalization": {"mean": recipe.data.mean, "std": recipe.data.std},
        "recipe": recipe.model_dump(mode="json"),
        **more,
    }
    write_network(path, segmenter.network, metadata)


def read_segmenter(path: Path, *, device: torch.device | str = "cpu") -> Segmenter:
    """Read a file of `write_segmenter`.

    The file is taken as hostile: nothing in it is run, and a network is made only when the file holds its tensors.

    Args:
        path: The file.
        device: Where the network is put.

    Returns:
        The segmenter with the recipe of its training.

    Raises:
        WeightsError: The file is missing, damaged, or holds no segmenter.
    """
    if not path.is_file():
        raise WeightsError(f"no trained segmenter at '{path}'.", remedy="Train it first: `ktse run` or `ktse train`.")
    if path.suffix.lower() == ".onnx":
        raise WeightsError(
            f"'{path}' is ONNX, which is for other programs.",
            remedy="Give the run directory, or a .safetensors file: ktse export RUN --out FILE.safetensors.",
        )
    classes, recipe = _read_facts(path)
    network = build_network(recipe.segmentation, num_labels=classes.num_labels, weights=None)
    read_network(path, network)
    return Segmenter(network.to(device), classes, recipe)


def _read_facts(path: Path) -> tuple[Classes, Recipe]:
    """Return what the metadata says, after the network that it describes has been found in the file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        recipe = Recipe.model_validate(_as_now(json.loads(metadata["recipe"])))
        classes = Classes(tuple(map(str, json.loads(metadata["classes"]))))
        with torch.device("meta"):  # asks for no memory: what the metadata describes may be of any size
            described = build_network(recipe.segmentation, num_labels=classes.num_labels, weights=None)
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError, InputError) as error:
        raise WeightsError(
            f"'{path}' is not a segmenter of ktse: {_reason(error)}", remedy="Give a file that ktse has written."
        ) from error
    if {name: tuple(tensor.shape) for name, tensor in described.state_dict().items()} != shapes:
        raise WeightsError(f"'{path}' holds another network than its recipe describes.", remedy="Write it anew.")
    return classes, recipe


def _reason(error: Exception) -> str:
    """Say in a sentence why the facts about a segmenter could not be read from a file."""
    from pydantic import ValidationError
    from safetensors import SafetensorError

    match error:
        case SafetensorError():
            return "it is damaged, or no .safetensors file."
        case KeyError():
            return f"it does not say its {error.args[0]}."
        case ValidationError():
            return message_of(explained(error))
        case InputError():
            return message_of(error)
    return "what it says of itself cannot be read."


def _as_now(recipe: Any) -> Any:
    """Return the values of a recipe, completed where they are older than the choice of a method."""
    segmentation = recipe.get("segmentation") if isinstance(recipe, dict) else None
    if not isinstance(segmentation, dict) or "method" in segmentation:
        return recipe
    return {**recipe, "segmentation": {**_BEFORE_METHODS, **segmentation}}
