"""What the processes of a run tell each other, so that none goes another way than the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ktse.errors import KtseError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Value = TypeVar("Value")


def gathered(own: Value, fabric: Fabric | None) -> list[Value]:
    """Return what each process brings, in the order of their numbers, in every process.

    Args:
        own: What this process brings; it is pickled.
        fabric: All processes have to come here; None for a process that is alone.

    Example:
        >>> gathered("mine", None)
        ['mine']
    """
    if fabric is None or not _are_joined():
        return [own]
    import torch.distributed as dist

    values = [own] * fabric.world_size
    dist.all_gather_object(values, own)
    return values


def decided(decide: Callable[[], Value], fabric: Fabric | None) -> Value:
    """Return what the first process decides, in every process.

    Where each looks for itself, one may see a file that another has just written or deleted. All have come when this
    returns, and nobody has gone on before the first has looked.

    Args:
        decide: Asked in the first process only; its answer is pickled.
        fabric: All processes have to come here; None for a process that is alone.

    Raises:
        KtseError: `decide` raised it; it is raised in every process.

    Example:
        >>> decided(lambda: 3, None)
        3
    """
    if fabric is None or not _are_joined():
        return decide()
    answer: Any = None
    if fabric.global_rank == 0:
        try:
            answer = decide()
        except KtseError as error:  # told to the others, who would wait for an answer
            answer = error
    first = gathered(answer, fabric)[0]
    if isinstance(first, KtseError):
        raise first
    return cast("Value", first)


def _are_joined() -> bool:
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized()
