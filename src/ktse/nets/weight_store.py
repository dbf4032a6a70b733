"""The folder of known files: putting one there, whole and checked or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ktse.artifacts.files import TEMPORARY_SUFFIX
from ktse.errors import WeightsError
from ktse.nets.download import Progress, download
from ktse.nets.known_weights import KnownWeights, weights_folder

MAX_BYTES = 4 * 2**30
"""Largest file that is fetched or copied; the largest known one has about an eighth of it."""

BEGINNINGS = {
    ".params": (b"\x12\x01\0\0\0\0\0\0",),
    ".pth": (b"PK\x03\x04", b"\x80\x02"),
    ".zip": (b"PK\x03\x04",),
}
"""How files of each ending begin; a server's page of excuses does not."""


def pull(
    entry: KnownWeights,
    *,
    folder: Path | None = None,
    source: Path | None = None,
    progress: Progress | None = None,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Put a known file into the folder where it is looked for, unless it is there.

    Args:
        entry: What is known of it.
        folder: Folder to put it into; that of `weights_folder` when None.
        source: A copy of the file on this machine, in place of a download.
        progress: Told of each piece of a download.
        max_bytes: Largest file.

    Returns:
        The file, under its published name.

    Raises:
        WeightsError: It cannot be had, is too large, is of another kind, or differs from its checksum; nothing is left
            behind then, and a file that was there before is untouched.
    """
    path = (folder or weights_folder()) / entry.file_name
    if source is not None and not source.is_file():
        raise WeightsError(f"no file '{source}'.")
    there = path.is_file()
    if there and (source is None or source.samefile(path)):
        check_file(path, entry)
        return path
    if source is None and not entry.url:
        raise WeightsError(
            f"no address is known from which '{entry.name}' could be downloaded.",
            remedy=f"Look at {entry.source}, and give the file: ktse weights pull {entry.name} --from FILE.",
        )
    with _whole(path, entry) as file:
        if source is None:
            download(entry.url, file, max_bytes=max_bytes, progress=progress)
        else:
            _copy(source, file, max_bytes)
    return path


def check_file(path: Path, entry: KnownWeights) -> None:
    """Check how a file begins, and its checksum where one is known.

    Raises:
        WeightsError: It is another file, or damaged.
    """
    _check(path, entry, shown=path)


def _check(path: Path, entry: KnownWeights, *, shown: Path) -> None:
    with path.open("rb") as file:
        begins = file.read(16)
        if not begins.startswith(BEGINNINGS[Path(entry.file_name).suffix]):
            raise WeightsError(f"'{shown}' is no {Path(entry.file_name).suffix} file.", remedy="Get it again.")
        kind, _, stated = entry.checksum.partition(":")
        if not stated:
            return
        file.seek(0)
        found = hashlib.file_digest(file, kind).hexdigest()
    if not found.startswith(stated):
        raise WeightsError(
            f"'{shown}' has the {kind} checksum {found[: len(stated)]}, its source states {stated}.",
            remedy="It is damaged or another file: remove it and get it again.",
        )


@contextmanager
def _whole(path: Path, entry: KnownWeights) -> Iterator[BinaryIO]:
    """Open a file beside `path` for writing, which takes its name once it is complete and checked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _check(temporary, entry, shown=path)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(source: Path, file: BinaryIO, max_bytes: int) -> None:
    size = source.stat().st_size
    if size > max_bytes:
        raise WeightsError(f"'{source}' has {size} bytes, more than the limit of {max_bytes}.")
    with source.open("rb") as original:
        shutil.copyfileobj(original, file)
