"""Reading the batches of an epoch, in this process or ahead of it in others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ktse.errors import DataError

Item = TypeVar("Item")


def read_ahead(read: Callable[[int], Item], steps: range, *, workers: int) -> Iterator[Item]:
    """Yield `read(step)` for each step in order.

    Args:
        read: Makes the batch of a step from nothing but its number; with workers it has to be picklable.
        steps: Steps to yield.
        workers: Processes that read ahead; 0 reads here, when the batch is asked for.

    Raises:
        DataError: `read` raised it, wherever it ran.

    Example:
        >>> list(read_ahead(lambda step: step * step, range(2, 5), workers=0))
        [4, 9, 16]
    """
    if workers == 0:
        yield from map(read, steps)
        return
    loader = torch.utils.data.DataLoader[Any](
        _Steps(read),
        sampler=steps,
        batch_size=None,
        num_workers=workers,
        collate_fn=_unchanged,
        generator=torch.Generator(),  # its own: the loader must not advance the random state that dropout uses
    )
    for item in loader:
        if isinstance(item, DataError):
            raise item
        yield item


@dataclass(frozen=True)
class _Steps(torch.utils.data.Dataset[Any]):
    """The steps as a worker of torch's DataLoader asks for them; a fault travels as a value and keeps its text."""

    read: Callable[[int], Any]

    def __getitem__(self, step: int) -> Any:
        try:
            return self.read(step)
        except DataError as error:
            return error


def _unchanged(item: Any) -> Any:
    return item
