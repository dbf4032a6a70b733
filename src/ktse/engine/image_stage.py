"""A stage that writes files image by image: shared between processes, resumable, never half done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ktse.artifacts import RunDirectory, append_log
from ktse.engine.begun_stage import begun_stage
from ktse.engine.fabric import shard
from ktse.engine.interrupt import stop_wishes
from ktse.engine.progress import progress
from ktse.errors import StoppedError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Work = Callable[[list[int], Callable[[int], None]], None]
"""Does the images of the given indices, and calls back with the number of images done since the last call."""


def run_image_stage(name: str, key: str, ids: Sequence[str], work: Work, *, run: RunDirectory, fabric: Fabric) -> None:
    """Do what is left of a stage, each process its share.

    Args:
        name: Name of the stage.
        key: Stage key; outputs of another key are stale and made anew.
        ids: Ids of all images of the stage.
        work: Writes the files of some images.
        run: Where the stage is.
        fabric: Processes.

    Raises:
        StoppedError: Stopped by Ctrl-C or SIGTERM; finished images are kept and the same call does the rest.
    """
    first = fabric.global_rank == 0
    with begun_stage(name, key, run=run, fabric=fabric, ids=ids) as stage:
        if stage is None:
            return
        done = stage.done_ids()
        todo = [index for index in shard(len(ids), fabric) if ids[index] not in done]
        with stop_wishes() as wish, progress(name, len(todo), shown=first) as bar:

            def report(advance: int) -> None:
                bar(advance)
                if wish.asked:
                    raise StoppedError(
                        f"{name} stopped; finished images are kept.", remedy="Run the same command again."
                    )

            work(todo, report)
        append_log(
            run.log(fabric.global_rank),
            {"stage": name, "event": "finished", "images": len(todo), "kept": len(done)},
        )
