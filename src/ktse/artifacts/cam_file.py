"""CAMs of one image on disk: an npz of float16 scores, read as if a stranger had written it."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ktse.artifacts.files import write_bytes_atomic
from ktse.errors import DataError
from ktse.types import CamSet

MAX_CAM_VALUES = 2**30
"""Most scores that a file may hold: a file that claims more is refused before memory is asked for."""

MAX_CLASSES = 2**15
"""Most classes that a file may name."""

_TOLERANCE = 1e-3
"""Half precision rounds 1 - 1e-5 up to 1; a score may exceed [0, 1] by no more than its rounding."""


def write_cams(path: Path, cams: CamSet) -> None:
    """Write the CAMs of one image atomically, with scores in half precision.

    Args:
        path: File to write (.npz).
        cams: Scores in [0, 1].

    Raises:
        DataError: The CAMs are not as `CamSet` says (shape, order of classes, finite, range); the file is named.
        InputError: The file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> cams = CamSet(np.full((1, 2, 2), 0.5), np.array([3]), (8, 8))
        >>> with TemporaryDirectory() as folder:
        ...     write_cams(Path(folder) / "cat.npz", cams)
        ...     read_cams(Path(folder) / "cat.npz").present.tolist()
        [3]
    """
    half = CamSet(
        np.asarray(cams.scores, np.float16), np.asarray(cams.present, np.int64), (int(cams.size[0]), int(cams.size[1]))
    )
    _check(path, half)
    buffer = io.BytesIO()
    np.savez(buffer, scores=half.scores, present=half.present, size=np.array(half.size, np.int64))
    write_bytes_atomic(path, buffer.getvalue())


def read_cams(path: Path) -> CamSet:
    """Read the CAMs of one image.

    Shapes are checked before any array is read, and pickles are refused.

    Returns:
        CAMs with float16 scores (P, h, w).

    Raises:
        DataError: The file is missing, damaged, or not what `write_cams` writes; it is named.
    """
    limits = {"scores": MAX_CAM_VALUES, "present": MAX_CLASSES, "size": 2}
    kinds = {"scores": np.float16, "present": np.int64, "size": np.int64}
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(archive.namelist())
            if names != sorted(f"{name}.npy" for name in limits):
                raise _wrong(path, f"it holds {names[:8]}, expected scores, present and size")
            arrays = {name: _read_array(archive, path, name, np.dtype(kinds[name]), limits[name]) for name in limits}
    except OSError as error:
        raise DataError(f"cannot read CAMs '{path}': {error.strerror or error}.", remedy="Run localize.") from error
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise _wrong(path, str(error)) from error
    except Exception as error:  # zlib and struct errors of a damaged archive have no common ancestor
        raise _wrong(path, f"{type(error).__name__}: {error}") from error
    if arrays["size"].shape != (2,):
        raise _wrong(path, f"size is {arrays['size'].shape}, expected (2,)")
    height, width = arrays["size"].tolist()
    cams = CamSet(arrays["scores"], arrays["present"], (height, width))
    _check(path, cams)
    return cams


def _read_array(archive: zipfile.ZipFile, path: Path, name: str, kind: np.dtype[Any], limit: int) -> NDArray[Any]:
    """Read one array of the archive after its header has been found harmless."""
    with archive.open(f"{name}.npy") as stream:
        version = npy.read_magic(stream)
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if header is None:
            raise _wrong(path, f"{name} has format version {version}")
        shape, fortran_order, dtype = header(stream)
        count = math.prod(shape)
        if dtype != kind or fortran_order or any(side < 0 for side in shape) or count > limit:
            raise _wrong(path, f"{name} is {dtype} {shape}, expected {kind} of at most {limit} values")
        data = stream.read(count * kind.itemsize + 1)
    if len(data) != count * kind.itemsize:
        raise _wrong(path, f"{name} has {len(data)} bytes, expected {count * kind.itemsize}")
    return np.frombuffer(data, kind).reshape(shape).copy()


def _check(path: Path, cams: CamSet) -> None:
    """Refuse CAMs that are not as their type says."""
    scores, present, size = cams.scores, cams.present, cams.size
    if scores.ndim != 3 or present.ndim != 1 or len(scores) != len(present):
        raise _wrong(path, f"scores are {scores.shape} for classes {present.shape}, expected (P, h, w) for (P,)")
    if min(*scores.shape[1:], *size) < 1:
        raise _wrong(path, f"the maps are {scores.shape[1:]} for an image of {size}, expected at least one pixel")
    if scores.shape[1] > size[0] or scores.shape[2] > size[1]:
        raise _wrong(path, f"the maps {scores.shape[1:]} are larger than the image {size}")
    if len(present) and (present[0] < 0 or present[-1] >= MAX_CLASSES or (np.diff(present) <= 0).any()):
        raise _wrong(path, f"classes are {present.tolist()[:8]}, expected ascending from 0")
    if not np.isfinite(scores).all():
        raise _wrong(path, "a score is not finite")
    if scores.size and (scores.min() < -_TOLERANCE or scores.max() > 1 + _TOLERANCE):
        raise _wrong(path, f"scores reach from {scores.min()} to {scores.max()}, expected [0, 1]")


def _wrong(path: Path, what: str) -> DataError:
    return DataError(f"'{path}' is not a CAM file: {what}.", remedy="Delete it and run localize again.")
