"""Images that are still to be done, shared out evenly between the processes, which all end alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ktse.engine.full_memory import enough_memory
from ktse.engine.image_faults import refuse_faults
from ktse.engine.interrupt import stop_wishes
from ktse.engine.progress import progress
from ktse.engine.together import gathered
from ktse.errors import DataError, KtseError, StoppedError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Work = Callable[[list[int], Callable[[int], None]], Sequence[DataError]]
"""Does the images of the given indices, calls back with the number of images done since the last call, and returns what
is wrong with the images that it has passed over."""


def share_images(name: str, left: Sequence[int], work: Work, *, images: int, fabric: Fabric | None) -> int:
    """Do what is left, each process its share: of a run that goes on, every process has as much to do.

    An error of one process is raised in all of them, when each has come to its end: else the others would wait for it,
    and find no more than that it has gone.

    Args:
        name: Name of the work.
        left: Indices of the images, the same in every process.
        work: Does some of them.
        images: How many there are, with those that are done already.
        fabric: Processes; None for this one alone.

    Returns:
        How many images this process had to do.

    Raises:
        DataError: Images have failed in some process; the others are done.
        KtseError: Any other error of `work`, in some process; an InputError where its memory is full.
        StoppedError: Stopped by Ctrl-C or SIGTERM; finished images are kept and the same call does the rest.

    Example:
        >>> def work(todo, report):
        ...     print(todo)
        ...     return []
        >>> share_images("something", [3, 5], work, images=6, fabric=None)
        [3, 5]
        2
    """
    rank, world_size = (0, 1) if fabric is None else (fabric.global_rank, fabric.world_size)
    todo = list(left[rank::world_size])
    faults: list[DataError] = []
    trouble: KtseError | None = None
    with stop_wishes() as wish, progress(name, len(todo), shown=rank == 0) as bar:

        def report(ready: int) -> None:
            if ready:
                bar(ready)
            if wish.asked:
                raise StoppedError(f"{name} stopped; finished images are kept.", remedy="Run the same command again.")

        try:
            with enough_memory():
                faults += work(todo, report)
        except KtseError as error:
            trouble = error
    ends = gathered((trouble, faults), fabric)
    if stopping := trouble or next((error for error, _ in ends if error), None):
        raise stopping
    refuse_faults([fault for _, found in ends for fault in found], images=images)
    return len(todo)
