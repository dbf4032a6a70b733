"""Archives of masks that others have published: `sem_seg.zip`, `mask_irn.zip`, as folders of `ID.png`."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from ktse.data.image_io import read_confidence, read_image, read_label_map, write_confidence, write_label_map
from ktse.errors import DataError

MAX_FILES: Final = 200_000
"""Most entries of an archive; those of COCO's training images are about 83,000."""

MAX_FILE_BYTES: Final = 64 * 2**20
"""Largest single mask, unpacked."""

MAX_BYTES: Final = 8 * 2**30
"""Largest sum of all masks, unpacked."""

_LEFT_BY_SYSTEMS: Final = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


def unpack_masks(
    archive: Path,
    folder: Path,
    *,
    kind: Literal["labels", "confidence"] = "labels",
    max_files: int = MAX_FILES,
    max_file_bytes: int = MAX_FILE_BYTES,
    max_bytes: int = MAX_BYTES,
    ids: Collection[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Unpack an archive of PNG masks into a new folder, flat, each mask read and written anew in the project's form.

    Nothing but the last part of an entry's name is used, so that no entry can leave the folder; what is not a readable
    PNG mask is an error. The folder appears when everything is in it.

    Args:
        archive: A .zip of PNGs, at any depth.
        folder: Folder to make; it must not exist, or be empty.
        kind: `labels` for label maps; `confidence` for masks that are 0 where a label is not trusted, also as grey in
            three equal channels (REFERENCE 5.7).
        max_files: Most entries.
        max_file_bytes: Largest mask, unpacked.
        max_bytes: Largest sum of all masks, unpacked.
        ids: Images whose masks are wanted; None for all.
        progress: Called with the masks that are done and those in all.

    Returns:
        The number of masks.

    Raises:
        DataError: No such archive, a damaged one, one beyond a limit, or one that holds anything else; the folder is
            not empty. Nothing is left behind.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> with TemporaryDirectory() as place:
        ...     one, packed = Path(place, "one.png"), Path(place, "sem_seg.zip")
        ...     write_label_map(one, np.array([[0, 15]]))
        ...     with zipfile.ZipFile(packed, "w") as file:
        ...         file.write(one, "sem_seg/2007_000032.png")
        ...     unpack_masks(packed, Path(place, "masks"))
        ...     read_label_map(Path(place, "masks", "2007_000032.png")).tolist()
        1
        [[0, 15]]
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"'{folder}' is there already.", remedy="Give a new folder.")
    try:
        with zipfile.ZipFile(archive) as file:
            entries = _masks(file, archive, max_files, max_file_bytes, max_bytes)
            if ids is not None:
                entries = {name: entries[name] for name in map("{}.png".format, ids) if name in entries}
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as place:
                temporary = Path(place) / folder.name
                temporary.mkdir()
                for done, (name, entry) in enumerate(entries.items(), start=1):
                    path = temporary / name
                    with file.open(entry) as packed, path.open("wb") as unpacked:
                        shutil.copyfileobj(packed, unpacked)
                    with calling(path, f"{archive}/{entry.filename}"):
                        _rewrite(path, kind)
                    if progress is not None:
                        progress(done, len(entries))
                temporary.replace(folder)
    except FileNotFoundError:
        raise DataError(f"no archive '{archive}'.") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError) as error:  # RuntimeError: a password
        reason = str(error) or type(error).__name__
        raise DataError(f"the archive '{archive}' cannot be read: {reason}.", remedy="Get it again.") from error
    return len(entries)


@contextmanager
def calling(path: Path, name: str) -> Iterator[None]:
    """Let errors about a temporary file or folder speak of what it was unpacked from.

    Example:
        >>> with calling(Path("/tmp/x1"), "sem_seg.zip"):
        ...     raise DataError("'/tmp/x1/a.png' is empty.")
        Traceback (most recent call last):
        ktse.errors.DataError: 'sem_seg.zip/a.png' is empty.
    """
    try:
        yield
    except DataError as error:
        raise DataError(str(error).replace(str(path), name)) from error


def _masks(
    file: zipfile.ZipFile, archive: Path, max_files: int, max_file_bytes: int, max_bytes: int
) -> dict[str, zipfile.ZipInfo]:
    """Return the masks of an archive by their names without folders, everything checked that its index tells."""
    entries = file.infolist()
    if len(entries) > max_files:
        raise DataError(f"the archive '{archive}' has {len(entries)} entries, more than the limit of {max_files}.")
    masks: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if entry.is_dir() or not parts or {parts[0], parts[-1]} & set(_LEFT_BY_SYSTEMS):
            continue
        name = parts[-1]
        if ".." in parts or parts[0].startswith("/") or ":" in entry.filename:
            raise DataError(f"the archive '{archive}' tries to leave its folder: '{entry.filename}'.")
        if not name.lower().endswith(".png") or name.startswith("."):
            raise DataError(f"the archive '{archive}' holds '{entry.filename}', expected PNGs alone.")
        if name in masks:
            raise DataError(f"the archive '{archive}' holds '{name}' twice.")
        if entry.file_size > max_file_bytes:
            raise DataError(f"'{entry.filename}' of '{archive}' has {entry.file_size} bytes, limit {max_file_bytes}.")
        masks[name] = entry
    if (total := sum(entry.file_size for entry in masks.values())) > max_bytes:
        raise DataError(f"the archive '{archive}' unpacks to {total} bytes, more than the limit of {max_bytes}.")
    if not masks:
        raise DataError(f"the archive '{archive}' holds no PNG.")
    return masks


def _rewrite(path: Path, kind: Literal["labels", "confidence"]) -> None:
    """Read one mask as hostile and write it in the project's own form."""
    if kind == "labels":
        write_label_map(path, read_label_map(path))
        return
    try:
        trusted = read_confidence(path)
    except DataError:  # as colours: the published masks are grey in three channels
        channels = read_image(path)
        if not (channels == channels[..., :1]).all():
            raise
        trusted = channels[..., 0] != 0
    write_confidence(path, trusted)
