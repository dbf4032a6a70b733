"""A stage of a run: what it was made from, whether it is done, and which images are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ktse.artifacts.files import read_json, write_json
from ktse.errors import DataError, InputError

STATE_FILE = "stage.json"


def stage_key(*parts: Any) -> str:
    """Return a digest of everything that a stage's output depends on.

    Args:
        parts: JSON values, sections of a recipe, and the keys of the stages before. Their order counts; the order of
            names within a mapping does not.

    Returns:
        SHA-256 in hexadecimal.

    Example:
        >>> stage_key("seeds", {"a": 1, "b": (2, 3)}) == stage_key("seeds", {"b": [2, 3], "a": 1})
        True
        >>> stage_key("seeds", 0.2) == stage_key("seeds", 0.3)
        False
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_as_json)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a stage key is made of JSON values and settings, got {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Stage:
    """The folders of one stage, and the state file that says what they hold.

    Only the first process calls `begin` and `finish`; the others wait for it, then each writes its own images.

    Attributes:
        name: Name in messages.
        folders: Where its outputs are; the state file is in the first.
        suffixes: Endings of the files that belong to the stage. Nothing else is ever removed.
        by_image: Whether the outputs are one file an image in each folder (else: a training).
        by_products: Folders of what the stage leaves on the way: removed when stale, but no image waits for them.
    """

    name: str
    folders: tuple[Path, ...]
    suffixes: tuple[str, ...]
    by_image: bool
    by_products: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the state file."""
        return self.folders[0]

    @property
    def key(self) -> str | None:
        """The key of what the folder holds, or None if nothing was begun there."""
        return self._state().get("key")

    @property
    def origin(self) -> str | None:
        """The file from elsewhere that was adopted as output of the stage; None where the run makes it itself."""
        return self._state().get("origin")

    def is_done(self, key: str, *, ids: Iterable[str] | None = None) -> bool:
        """Return whether the stage was finished with this key; what was adopted depends on no key of the run.

        Args:
            key: Stage key of what is wanted.
            ids: Images whose files have to be there still: somebody may have deleted one. None looks at no file.
        """
        state = self._state()
        if state.get("status") != "done" or (state.get("key") != key and "origin" not in state):
            return False
        return ids is None or self.done_ids().issuperset(ids)

    def begin(self, key: str) -> str | None:
        """Make the folder ready for outputs of this key.

        Outputs of the same key stay: the stage goes on with the rest. Outputs of another key are stale and removed.

        Returns:
            None, or a sentence that says what was removed and why.

        Raises:
            InputError: The folder holds outputs of unknown origin.
        """
        state = self._state()
        outputs = self._outputs()
        if not state and outputs:
            raise InputError(
                f"'{self.folder}' holds {len(outputs)} files of unknown origin (no {STATE_FILE}).",
                remedy="Move them away, or choose another run directory.",
            )
        reason = None
        if state and state.get("key") != key:
            # said first, so that a crash in between leaves nothing that looks finished
            write_json(self.folder / STATE_FILE, {**state, "key": "", "status": "stale"})
            for path in outputs:
                path.unlink(missing_ok=True)
            reason = (
                f"settings or inputs of '{self.name}' have changed since {state.get('started')}: "
                f"{len(outputs)} files were removed and are made anew."
            )
            state = {}
        write_json(
            self.folder / STATE_FILE,
            {"key": key, "status": "running", "started": state.get("started") or _now(), "finished": None},
        )
        return reason

    def finish(self, key: str, *, origin: str | None = None) -> None:
        """Note that the stage is done; with `origin`, that a file from elsewhere was adopted."""
        started = self._state().get("started") or _now()
        state = {"key": key, "status": "done", "started": started, "finished": _now()}
        write_json(self.folder / STATE_FILE, state if origin is None else {**state, "origin": origin})

    def done_ids(self) -> set[str]:
        """Return the ids of the images whose files are there in every folder (a file is whole or not there)."""
        if not self.by_image:
            raise InputError(f"stage '{self.name}' is a training; it has no files by image.")
        (suffix,) = self.suffixes
        return set.intersection(
            *(
                {path.relative_to(folder).as_posix().removesuffix(suffix) for path in _files(folder, self.suffixes)}
                for folder in self.folders
            )
        )

    def _outputs(self) -> list[Path]:
        return [path for folder in (*self.folders, *self.by_products) for path in _files(folder, self.suffixes)]

    def _state(self) -> Mapping[str, Any]:
        path = self.folder / STATE_FILE
        if not path.exists():
            return {}
        state = read_json(path)
        if not isinstance(state, dict) or not isinstance(state.get("key"), str):
            raise DataError(f"'{path}' does not say what the folder holds.", remedy="Remove the folder.")
        return state


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of a stage below a folder, without its state file."""
    return [path for path in folder.rglob("*") if path.name.endswith(suffixes) and path != folder / STATE_FILE]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
