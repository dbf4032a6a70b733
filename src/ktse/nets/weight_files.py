"""Reading a file of weights into tensors by name: .safetensors, .pth, .pt, .params."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ktse.errors import WeightsError
from ktse.nets.known_weights import find_weights
from ktse.nets.mxnet_params import read_mxnet_params

WRAPPERS = ("state_dict", "model")
"""Names under which checkpoints commonly hold the tensors, beside other things."""

MAX_BYTES = 8 * 2**30
"""Largest archive of torch that is opened."""


def read_weights(weights: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a weights file, on the CPU.

    Args:
        weights: A path, or weights known by name (`find_weights`). `.pth` and `.pt` are read without running any code
            that they may hold.

    Raises:
        WeightsError: No such file, an ending that is not known, a damaged file, or one that holds more than tensors.
    """
    path = find_weights(weights)
    return tensors_of(_content(path), path)


def read_checkpoint(weights: str | Path) -> dict[str, Any]:
    """Read a file that holds several networks, or other things beside them, as it is: not unwrapped, not checked.

    Args:
        weights: As for `read_weights`, and as safely read.

    Returns:
        What the file holds by name, tensors on the CPU. It is foreign: look at each part before using it.

    Raises:
        WeightsError: No such file, an ending that is not known, a damaged file, or one that holds objects of programs.
    """
    path = find_weights(weights)
    content = _content(path)
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"the checkpoint '{path}' holds a {type(content).__name__}, nothing by name.",
            remedy="Save a dict of state_dicts.",
        )
    return {str(name): value for name, value in content.items()}


def _content(path: Path) -> object:
    """Return whatever the file holds."""
    try:
        match path.suffix:
            case ".safetensors":
                from safetensors.torch import load_file

                return load_file(path)
            case ".params":
                return {name: torch.from_numpy(array) for name, array in read_mxnet_params(path).items()}
            case ".pth" | ".pt":
                _refuse_compressed(path)
                with torch.serialization.safe_globals(_numbers_of_numpy()):
                    content: object = torch.load(path, map_location="cpu", weights_only=True)
                _refuse_other_tensors(content, path)
                return content
    except WeightsError:
        raise
    except Exception as error:  # the readers raise whatever the damage leads them to
        raise WeightsError(
            f"the weights file '{path}' cannot be read ({type(error).__name__}).",
            remedy="It is damaged, or holds more than tensors: get it again, or save the tensors as .safetensors.",
        ) from error
    raise WeightsError(
        f"the weights file '{path}' has the ending '{path.suffix}'.",
        remedy="Known are .safetensors, .pth, .pt and .params (MXNet).",
    )


def tensors_within(content: object) -> Iterator[Tensor]:
    """Yield every tensor of what a file holds by name, at any depth; a hostile one may hold itself.

    Example:
        >>> list(tensors_within({"state_dict": {"bias": torch.zeros(1)}, "epoch": 3}))
        [tensor([0.])]
    """
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values())


def tensors_of(content: object, path: Path) -> dict[str, Tensor]:
    """Return the tensors of what a file holds, taken out of a checkpoint's wrapping if there is one.

    Raises:
        WeightsError: It holds other things.
    """
    if isinstance(content, Mapping):
        inner = [content[wrapper] for wrapper in WRAPPERS if isinstance(content.get(wrapper), Mapping)]
        content = inner[0] if inner else content
        tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
        if len(tensors) == len(content):
            return tensors
    raise WeightsError(
        f"the weights file '{path}' does not hold tensors by name.", remedy="Save a network's state_dict."
    )


def _refuse_other_tensors(content: object, path: Path) -> None:
    """Refuse tensors that are no plain rows of numbers: sparse ones, quantized ones, and those without numbers."""
    for tensor in tensors_within(content):
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            kind = "empty" if tensor.is_meta else "quantized" if tensor.is_quantized else str(tensor.layout)
            raise WeightsError(
                f"a tensor of '{path}' with shape {tuple(tensor.shape)} is {kind}, expected plain numbers.",
                remedy="Save dense tensors of a network that has its weights.",
            )


def _refuse_compressed(path: Path) -> None:
    """Refuse an archive that unpacks to more than its own size: torch stores tensors as they are."""
    if not zipfile.is_zipfile(path):
        return
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_BYTES or unpacked > size:
        raise WeightsError(
            f"'{path}' has {size} bytes and unpacks to {unpacked}; torch packs nothing, and {MAX_BYTES} is the limit.",
            remedy="It is damaged or hostile: get it again.",
        )


def _numbers_of_numpy() -> list[Any]:
    """Return what numpy's single numbers are made of: scores that trainings leave beside the tensors."""
    scalar: Any = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]
