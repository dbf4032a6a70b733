"""The folder of one run: where everything lies, and who may write there."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from ktse.artifacts.files import LOCK_FILE, read_json, remove_leftovers, write_json
from ktse.artifacts.stage import Stage
from ktse.errors import DataError, InputError, near_matches

if TYPE_CHECKING:
    from filelock import BaseFileLock

TRAINING_SUFFIXES = (".safetensors", ".json")


class Layout(NamedTuple):
    """Where the outputs of a stage lie in a run.

    Attributes:
        folders: Its folders; the state file is in the first.
        suffixes: Endings of its files.
        by_image: Whether it writes one file an image in each folder.
        by_products: Folders of what it leaves on the way: removed when stale, but no image waits for them.
    """

    folders: tuple[str, ...]
    suffixes: tuple[str, ...]
    by_image: bool
    by_products: tuple[str, ...] = ()


STAGES = {
    "localizer": Layout(("localizer",), TRAINING_SUFFIXES, False),
    "cams": Layout(("cams",), (".npz",), True),
    "seeds": Layout(("seeds",), (".png",), True),
    "ir_labels": Layout(("ir_labels",), (".png",), True),
    "irnet": Layout(("irnet",), TRAINING_SUFFIXES, False),
    "masks": Layout(("masks", "confidence"), (".png",), True, by_products=("steps",)),
    "segmenter": Layout(("segmenter",), TRAINING_SUFFIXES, False),
    "predictions": Layout(("predictions",), (".png",), True),
}
"""Each stage with its place in the run."""


class RunDirectory:
    """Paths of a run. Making one touches nothing on disk.

    Args:
        root: The folder; it is made by the first write.

    Raises:
        InputError: `root` is a file.

    Example:
        >>> run = RunDirectory(Path("runs/demo"))
        >>> run.mask("2007_000032").as_posix(), run.log(1).as_posix()
        ('runs/demo/masks/2007_000032.png', 'runs/demo/log.rank1.jsonl')
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        if self.root.is_file():
            raise InputError(f"run directory '{self.root}' is a file.", remedy="Give a folder, or a new name.")
        self._lock: BaseFileLock | None = None

    @property
    def localizer(self) -> Path:
        """Folder of the trained localizer."""
        return self.root / "localizer"

    @property
    def irnet(self) -> Path:
        """Folder of the trained IRNet."""
        return self.root / "irnet"

    @property
    def segmenter(self) -> Path:
        """Folder of the trained segmenter."""
        return self.root / "segmenter"

    @property
    def predictions(self) -> Path:
        """Folder of the segmenter's predictions."""
        return self.root / "predictions"

    @property
    def scores(self) -> Path:
        """File of the scores with their protocols."""
        return self.root / "scores.json"

    @property
    def report(self) -> Path:
        """File of the report."""
        return self.root / "report.html"

    @property
    def recipe(self) -> Path:
        """File of the recipe that was run."""
        return self.root / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        """File that says with what, where and when the run was made."""
        return self.root / "manifest.json"

    def log(self, rank: int = 0) -> Path:
        """File of the log of a process."""
        return self.root / ("log.jsonl" if rank == 0 else f"log.rank{rank}.jsonl")

    def cams(self, id_: str) -> Path:
        """File of the CAMs of an image."""
        return self._file("cams", id_, ".npz")

    def seed(self, id_: str) -> Path:
        """File of the seed of an image."""
        return self._file("seeds", id_, ".png")

    def ir_label(self, id_: str) -> Path:
        """File of the IR label of an image."""
        return self._file("ir_labels", id_, ".png")

    def step(self, number: int, name: str) -> Path:
        """Folder of the label maps `ID.png` after a step of refinement that is not the last, counted from 1."""
        return self.root / "steps" / f"{number}_{name}"

    def step_mask(self, number: int, name: str, id_: str) -> Path:
        """File of the label map of an image after such a step."""
        return self._file(f"steps/{number}_{name}", id_, ".png")

    def mask(self, id_: str) -> Path:
        """File of the pseudo mask of an image."""
        return self._file("masks", id_, ".png")

    def confidence(self, id_: str) -> Path:
        """File that says which pixels of a pseudo mask are trusted."""
        return self._file("confidence", id_, ".png")

    def prediction(self, id_: str) -> Path:
        """File of the segmenter's prediction for an image."""
        return self._file("predictions", id_, ".png")

    def stage(self, name: str) -> Stage:
        """Return a stage by name.

        Raises:
            InputError: There is no such stage; the nearest names are given.
        """
        if name not in STAGES:
            raise InputError(f"no stage '{name}'.", remedy=near_matches(name, STAGES))
        layout = STAGES[name]
        return Stage(
            name,
            folders=tuple(self.root / folder for folder in layout.folders),
            suffixes=layout.suffixes,
            by_image=layout.by_image,
            by_products=tuple(self.root / folder for folder in layout.by_products),
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one who writes here; may be entered again by the same object.

        Only the first process of a run locks. What killed processes left half written is removed, so the other
        processes start to write after it.

        Raises:
            InputError: Another process writes here; it is named.
        """
        from filelock import FileLock, Timeout

        writer = self.root / ".writer.json"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = FileLock(self.root / LOCK_FILE, timeout=0)
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"another process writes in '{self.root}'{_named(writer)}.",
                remedy="Wait for it, stop it, or choose another run directory.",
            ) from None
        except OSError as error:
            raise InputError(f"cannot write in '{self.root}': {error.strerror or error}.") from error
        try:
            if self._lock.lock_counter == 1:
                remove_leftovers(self.root)
                write_json(writer, {"process": os.getpid(), "host": platform.node(), "command": sys.argv})
            yield
        finally:
            if self._lock.lock_counter == 1:
                writer.unlink(missing_ok=True)
            self._lock.release()

    def _file(self, folder: str, id_: str, suffix: str) -> Path:
        """Return the file of an image, which lies below the folder whatever the id."""
        parts = PurePosixPath(id_).parts
        if not parts or "/".join(parts) != id_ or id_.startswith("/") or ".." in parts or set(id_) & {"\\", "\0"}:
            raise DataError(
                f"'{id_}' cannot be the id of an image.", remedy="An id is a relative path without '.' and '..'."
            )
        return self.root / folder / f"{id_}{suffix}"


def _named(writer: Path) -> str:
    """Say who holds the lock, as far as it is known."""
    try:
        holder = read_json(writer)
        return f" (process {holder['process']} on {holder['host']})"
    except (DataError, KeyError, TypeError):
        return ""
