"""A training that was stopped, in one file: network, optimizer and place."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ktse.artifacts import write_bytes_atomic
from ktse.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a training is: the next step to do.

    Attributes:
        epoch: Epoch of the next step, from 0.
        step: Next step within the epoch, from 0.
        total_steps: Steps done in all.
    """

    epoch: int = 0
    step: int = 0
    total_steps: int = 0


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    place: Place,
    *,
    key: str,
    scaler: torch.amp.GradScaler | None = None,
) -> None:
    """Write everything that going on needs, atomically and without pickle.

    Args:
        path: File to write (.safetensors).
        network: Its parameters and buffers are kept.
        optimizer: Its tensors are kept under the number of their parameter.
        place: Next step.
        key: Stage key; a checkpoint of other settings is not gone on with.
        scaler: What scales the loss in float16; its scale is kept.
    """
    from safetensors.torch import save

    tensors = {f"network.{name}": tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    for number, entries in optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{number}.{name}"] = value.detach().cpu().contiguous()
    metadata = {"key": key, "place": json.dumps(asdict(place))}
    if scaler is not None:
        metadata["scaler"] = json.dumps(scaler.state_dict())
    write_bytes_atomic(path, save(tensors, metadata=metadata))


def load_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    key: str,
    scaler: torch.amp.GradScaler | None = None,
) -> Place | None:
    """Restore network, optimizer and loss scale and return the next step, or None when there is nothing to go on with.

    Raises:
        WeightsError: The file is damaged or of another network.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            place = Place(**json.loads(metadata["place"]))
            scale = json.loads(metadata["scaler"]) if scaler is not None else {}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"'{path}' is not a readable checkpoint ({error}).", remedy="Delete it to start anew."
        ) from error
    prefix = "network."
    try:
        network.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    except RuntimeError as error:
        raise WeightsError(f"'{path}' holds another network.", remedy="Delete it to start anew.") from error
    state = optimizer.state_dict()
    state["state"] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, entry = name.split(".", 2)
            state["state"].setdefault(int(number), {})[entry] = tensor
    optimizer.load_state_dict(state)
    if scaler is not None:
        scaler.load_state_dict(scale)
    return place
