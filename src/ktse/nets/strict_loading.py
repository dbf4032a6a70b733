"""Loading a state into a network so that every tensor has its place, or an error says which has not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn

from ktse.errors import WeightsError

SHOWN = 4
"""Names that an error lists of each kind."""


def load_strictly(
    net: nn.Module, state: Mapping[str, Tensor], *, source: str, foreign_name: Callable[[str], str] = str
) -> None:
    """Copy `state` into `net`: every entry of the network once, and nothing left over.

    Only the counters `num_batches_tracked` of batch normalisation may be absent: inference does not use them, and many
    files lack them. Device and dtype stay those of the network, which is unchanged when an error is raised. A network
    without memory (device `meta`) gets the tensors of `state` themselves.

    Args:
        net: The network.
        state: Tensors by name.
        source: What the state is, for the error: `the file 'x.pth'`.
        foreign_name: From a name in the network to its name in the state; the same by default.

    Raises:
        WeightsError: Entries are missing, unknown, or of another shape or kind; a few of each are named.

    Example:
        >>> import torch
        >>> from ktse.errors import WeightsError
        >>> try:
        ...     load_strictly(nn.Linear(2, 1), {"weight": torch.zeros(1, 2)}, source="the file 'x.pth'")
        ... except WeightsError as error:
        ...     str(error).split(".")[1]
        "pth' does not fit the network: 1 missing (bias)"
    """
    own = net.state_dict()
    named = {foreign_name(name): tensor for name, tensor in own.items()}
    missing = [name for name in named if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in named]
    misfits = [_misfit(name, state[name], tensor) for name, tensor in named.items() if name in state]
    faults = [
        _listing(f"{len(names)} {kind}", names)
        for kind, names in (("missing", missing), ("unknown", unknown), ("misfitting", list(filter(None, misfits))))
        if names
    ]
    if faults:
        raise WeightsError(
            f"{source} does not fit the network: {'; '.join(faults)}.",
            remedy="Give the weights of this very architecture, width and number of classes.",
        )
    complete = {name: state.get(foreign_name(name), tensor) for name, tensor in own.items()}
    net.load_state_dict(complete, assign=all(tensor.is_meta for tensor in own.values()))


def _misfit(name: str, given: object, own: Tensor) -> str:
    """Return what is wrong with an entry, or an empty string."""
    if not isinstance(given, Tensor):
        return f"{name}: {type(given).__name__} instead of a tensor"
    if given.shape != own.shape:
        return f"{name}: {tuple(given.shape)} instead of {tuple(own.shape)}"
    if given.dtype.is_floating_point != own.dtype.is_floating_point:
        return f"{name}: {given.dtype} instead of {own.dtype}"
    return ""


def _listing(title: str, names: list[str]) -> str:
    rest = ", …" if len(names) > SHOWN else ""
    return f"{title} ({', '.join(names[:SHOWN])}{rest})"


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return `state` with `prefix` taken off every name when every name has it, unchanged otherwise.

    Example:
        >>> import torch
        >>> without_prefix({"module.a": torch.ones(1)}, "module.")
        {'a': tensor([1.])}
    """
    if all(name.startswith(prefix) for name in state):
        return {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return dict(state)


def without(state: Mapping[str, Tensor], prefixes: Iterable[str]) -> dict[str, Tensor]:
    """Return `state` less the entries whose names start with one of `prefixes`.

    Example:
        >>> import torch
        >>> list(without({"fc.weight": torch.ones(1), "conv1.weight": torch.ones(1)}, ["fc."]))
        ['conv1.weight']
    """
    return {name: tensor for name, tensor in state.items() if not name.startswith(tuple(prefixes))}
