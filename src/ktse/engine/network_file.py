"""A trained network in one safetensors file, with what belongs to it as JSON metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ktse.artifacts import write_bytes_atomic
from ktse.errors import WeightsError


def write_network(path: Path, network: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write parameters and buffers atomically.

    Args:
        path: File to write (.safetensors).
        network: Any module; its tensors are copied to the CPU first.
        metadata: JSON values that say what the network is.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_bytes_atomic(path, save(tensors, metadata={name: json.dumps(value) for name, value in metadata.items()}))


def read_network(path: Path, network: nn.Module) -> dict[str, Any]:
    """Read a file of `write_network` into a network of the same shape and return the metadata.

    Raises:
        WeightsError: The file is missing, damaged or of another network.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"no trained network at '{path}'.", remedy="Train it first: `ktse run` or `ktse train`.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"'{path}' is not a readable network ({error}).", remedy="Train it anew.") from error
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise WeightsError(f"'{path}' holds another network than the recipe describes: {first}") from error
    return metadata
