"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from ktse.errors import DataError, InputError

TEMPORARY_SUFFIX = ".ktse-tmp"
"""Ending of files that are being written; one that is found later belongs to a process that was killed."""

LOCK_FILE = ".lock"
"""File in a folder that has a writer of its own."""

MAX_JSON_BYTES = 64 * 2**20
"""Largest JSON file that is read; ours have kilobytes."""

_NUMBERS = re.compile(r"\[\n[^\[\]{}\"]*\]")


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part.

    The data go to a temporary file in the same folder, are forced to disk, and then take the name.
    Missing folders are made.

    Args:
        path: File to write or replace.
        data: Its whole content.

    Raises:
        InputError: The file cannot be written (no space, no permission); nothing is left behind.
    """
    temporary = path.parent / f".{path.name[:64]}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(
            f"cannot write '{path}': {error.strerror or error}.",
            remedy="Make room or choose another place; what is finished stays, and the same command goes on.",
        ) from error


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files of processes that were killed, everywhere below a folder; return how many.

    A folder below it with a lock of its own is spared: what is half written there may belong to a process that lives.
    Call it only while no other process writes in the rest.
    """
    removed = 0
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not Path(place, name, LOCK_FILE).exists()]
        for name in names:
            if name.startswith(".") and name.endswith(TEMPORARY_SUFFIX):
                Path(place, name).unlink(missing_ok=True)
                removed += 1
    return removed


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, indented, lists of numbers on one line, and in strict JSON (no NaN).

    Raises:
        InputError: The file cannot be written.
        ValueError: The value holds a number that is not finite.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    text = _NUMBERS.sub(lambda match: re.sub(r"\n\s*", " ", match[0]).replace("[ ", "[").replace(" ]", "]"), text)
    write_bytes_atomic(path, f"{text}\n".encode())


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file.

    Raises:
        DataError: The file is missing, larger than `max_bytes`, or not JSON; it is named.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror or error}.") from error
    if len(data) > max_bytes:
        raise DataError(f"'{path}' is larger than {max_bytes} bytes, which no file of ours is.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{path}' is not valid JSON ({error}).", remedy="Delete it or restore it.") from error


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     digest_of_file(Path(file.name))[:16]  # of nothing
        'e3b0c44298fc1c14'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
