"""Images that are still to be done, shared out evenly between the processes; a wish to stop is granted between two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ktse.engine.interrupt import stop_wishes
from ktse.engine.progress import progress
from ktse.errors import StoppedError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Work = Callable[[list[int], Callable[[int], None]], None]
"""Does the images of the given indices, and calls back with the number of images done since the last call."""


def share_images(name: str, left: Sequence[int], work: Work, *, fabric: Fabric | None) -> int:
    """Do what is left, each process its share: of a run that goes on, every process has as much to do.

    Args:
        name: Name of the work.
        left: Indices of the images, the same in every process.
        work: Does some of them.
        fabric: Processes; None for this one alone.

    Returns:
        How many images this process had to do.

    Raises:
        StoppedError: Stopped by Ctrl-C or SIGTERM; finished images are kept and the same call does the rest.

    Example:
        >>> share_images("squares", [3, 5], lambda todo, report: print([index**2 for index in todo]), fabric=None)
        [9, 25]
        2
    """
    rank, world_size = (0, 1) if fabric is None else (fabric.global_rank, fabric.world_size)
    todo = list(left[rank::world_size])
    with stop_wishes() as wish, progress(name, len(todo), shown=rank == 0) as bar:

        def report(ready: int) -> None:
            if ready:
                bar(ready)
            if wish.asked:
                raise StoppedError(f"{name} stopped; finished images are kept.", remedy="Run the same command again.")

        work(todo, report)
    return len(todo)
