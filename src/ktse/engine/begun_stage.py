"""Begin and finish a stage of a run, together with all processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ktse.artifacts import RunDirectory, Stage, append_log
from ktse.engine.progress import remark
from ktse.engine.together import decided

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@contextmanager
def begun_stage(
    name: str, key: str, *, run: RunDirectory, fabric: Fabric, ids: Sequence[str] | None = None
) -> Iterator[Stage | None]:
    """Begin a stage, and finish it when the block ends without an error.

    Outputs of another key are stale: they are removed, and the log and a line on standard error say why.

    Args:
        name: Name of the stage.
        key: Stage key of what is wanted.
        run: Where the stage is.
        fabric: Processes; only the first looks at the state of the stage and writes it.
        ids: Images; while one of them lacks its files the stage is not done. None for a training.

    Yields:
        The stage, or None when it is done already and there is nothing to do.
    """
    stage, first = run.stage(name), fabric.global_rank == 0

    def begin() -> bool:
        if stage.is_done(key, ids=ids):
            return False
        if reason := stage.begin(key):
            append_log(run.log(), {"stage": name, "event": "stale", "reason": reason})
            remark(reason)
        return True

    if not decided(begin, fabric):
        yield None
        return
    yield stage
    fabric.barrier()
    if first:
        stage.finish(key)
    fabric.barrier()
