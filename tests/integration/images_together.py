"""Image stages in the processes that torchrun starts, for test_image_processes: `images_together.py FOLDER CASE ...`.

Cases: `rest`, an earlier run has left images of one process alone; `foreign`, the folder holds files of unknown origin;
`broken`, an image of the second process cannot be read; `full`, the second process cannot write.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from lightning_fabric import Fabric

from ktse.artifacts import RunDirectory, write_bytes_atomic
from ktse.config import RuntimeSettings
from ktse.data.faults import noted
from ktse.engine.fabric import joined
from ktse.engine.image_stage import run_image_stage
from ktse.errors import DataError, InputError, KtseError

IDS = [str(number) for number in range(8)]


def prepare(run: RunDirectory, case: str) -> None:
    """Leave what the processes are to find."""
    if case == "rest":
        run.stage("cams").begin("k")
    if case in ("rest", "foreign"):
        for id_ in IDS[::2]:
            write_bytes_atomic(run.cams(id_), b"")


def write_all(run: RunDirectory, case: str, fabric: Fabric) -> str:
    """Run a stage and return how it ended."""
    done: list[int] = []

    def work(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        faults: list[DataError] = []
        for index in todo:
            if case == "full" and index == 3:
                raise InputError("no space left.")
            with noted(faults):
                if case == "broken" and index == 3:
                    raise DataError("image '3' is broken.")
                write_bytes_atomic(run.cams(IDS[index]), b"")
                done.append(index)
            report(1)
        return faults

    try:
        run_image_stage("cams", "k", IDS, work, run=run, fabric=fabric)
    except KtseError as error:
        return f"{type(error).__name__} after {done}: {error}"
    return f"finished {done}"


def main(root: Path, cases: list[str]) -> None:
    with joined(RuntimeSettings(accelerator="cpu")) as fabric:
        for case in cases:
            run = RunDirectory(root / case)
            if fabric.global_rank == 0:
                prepare(run, case)
            fabric.barrier()
            outcome = write_all(run, case, fabric)
            (run.root / f"outcome{fabric.global_rank}.txt").write_text(outcome)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
