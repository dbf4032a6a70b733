"""A stage that writes files image by image: shared between processes, resumable, never half done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ktse.artifacts import RunDirectory, Stage, append_log
from ktse.engine.begun_stage import begun_stage
from ktse.engine.share_images import Work, share_images
from ktse.engine.together import decided

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def run_image_stage(name: str, key: str, ids: Sequence[str], work: Work, *, run: RunDirectory, fabric: Fabric) -> None:
    """Do what is left of a stage, each process its share.

    Args:
        name: Name of the stage.
        key: Stage key; outputs of another key are stale and made anew.
        ids: Ids of all images of the stage.
        work: Writes the files of some images; one that fails does not keep the others from it.
        run: Where the stage is.
        fabric: Processes.

    Raises:
        DataError: Images have failed; the files of the others are there.
        StoppedError: Stopped by Ctrl-C or SIGTERM; finished images are kept and the same call does the rest.
    """
    with begun_stage(name, key, run=run, fabric=fabric, ids=ids) as stage:
        if stage is None:
            return
        left = decided(lambda: _left(stage, ids), fabric)
        mine = share_images(name, left, work, images=len(ids), fabric=fabric)
        append_log(
            run.log(fabric.global_rank),
            {"stage": name, "event": "finished", "images": mine, "kept": len(ids) - len(left)},
        )


def _left(stage: Stage, ids: Sequence[str]) -> list[int]:
    """Return the indices of the images that lack files."""
    done = stage.done_ids()
    return [index for index, id_ in enumerate(ids) if id_ not in done]
