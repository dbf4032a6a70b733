"""Logs of one JSON object a line, which survive a process that is killed while it writes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ktse.errors import InputError


def append_log(path: Path, record: Mapping[str, Any]) -> None:
    """Append one line to a log and hand it to the operating system at once.

    A number that is not finite is written as null, which strict JSON has no better word for.

    Args:
        path: Log file of this process; its folder is made.
        record: JSON values.

    Raises:
        InputError: The file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     append_log(Path(folder) / "log.jsonl", {"step": 1, "loss": float("nan")})
        ...     read_log(Path(folder) / "log.jsonl")
        [{'step': 1, 'loss': None}]
    """
    line = json.dumps(_finite(record), ensure_ascii=False, allow_nan=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            if file.tell() and not _ends_a_line(file):
                line = b"\n" + line
            file.write(line)
    except OSError as error:
        raise InputError(
            f"cannot write '{path}': {error.strerror or error}.", remedy="Make room or choose another place."
        ) from error


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the records of a log, without lines that a killed process left half written; empty if there is no log."""
    if not path.is_file():
        return []
    records = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                records.append(record)
    return records


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite, at any depth, by None."""
    if isinstance(value, Mapping):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
