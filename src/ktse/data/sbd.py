"""SBD, the Semantic Boundaries Dataset: masks of those VOC images that VOC itself has no masks of.

Its archive `benchmark.tgz` unpacks to `benchmark_RELEASE/dataset/` with the lists `train.txt` and `val.txt` and one
MATLAB file `cls/ID.mat` an image, whose `GTcls.Segmentation` is the label map. Nothing has to be converted.

The few kinds of elements of MATLAB 5 that lead to the label map are read here, every length checked: `scipy.io.loadmat`
reads the same of sound files, but a damaged one can make it crash the whole process.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import VOC_CLASSES
from ktse.data.image_io import MAX_PIXELS
from ktse.errors import DataError

MAX_MAT_BYTES: Final = 4 * 2**20
"""Largest MATLAB file that is read, packed and unpacked; real ones have at most 0.4 MB."""

_NAMES: Final = ("sbd", "SBD", "benchmark_RELEASE")
_MASK_FOLDER: Final = "cls"
_HEADER_BYTES: Final = 128
_VERSION: Final = b"\x00\x01IM"  # at the end of the header: MATLAB 5, low bytes first as everything below
_MATRIX, _COMPRESSED = 14, 15  # kinds of elements
_INTEGERS: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"}  # numpy's names of kinds of numbers


def find_sbd(voc_root: Path, given: Path | None = None) -> Path | None:
    """Find the folder of SBD that holds `cls/`.

    Args:
        voc_root: The folder `VOCdevkit/VOC2012`. SBD is looked for in it, beside it and beside `VOCdevkit`, under the
            names sbd, SBD and benchmark_RELEASE.
        given: Where SBD is; nothing is looked for then.

    Returns:
        The folder, None if there is none.

    Raises:
        DataError: It is not where it was said to be.

    Example:
        >>> find_sbd(Path("no-such-folder")) is None
        True
    """
    here = voc_root.absolute()
    roots = (here, here.parent, here.parent.parent)
    places = [given] if given else [root / name for root in roots for name in _NAMES]
    candidates = (folder for place in places for folder in (place, place / "dataset", place / _NAMES[-1] / "dataset"))
    found = next((folder for folder in candidates if (folder / _MASK_FOLDER).is_dir()), None)
    if given and not found:
        raise DataError(
            f"there is no SBD in '{given}': no folder '{_MASK_FOLDER}' with .mat files.",
            remedy="Set data.sbd to the folder benchmark_RELEASE/dataset of SBD's archive.",
        )
    return found


def sbd_mask_path(sbd: Path, id_: str) -> Path:
    """Return where SBD keeps the label map of an image."""
    return sbd / _MASK_FOLDER / f"{id_}.mat"


def read_sbd_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a label map of SBD.

    Args:
        path: `cls/ID.mat`.
        max_pixels: Largest H * W that is read.

    Returns:
        (H, W) label map, 0 background, 1..20 the classes of VOC.

    Raises:
        DataError: Missing, truncated, damaged, too large, of another layout or with labels of no class; it is named.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MAT_BYTES + 1)
        mask = _segmentation(content)
        _check_mask(mask, max_pixels)
    except FileNotFoundError:
        raise DataError(f"there is no mask '{path}'.", remedy="Unpack SBD anew.") from None
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise DataError(f"mask '{path}' cannot be used: {error}.", remedy="Unpack SBD anew.") from None
    return np.ascontiguousarray(mask, dtype=np.uint8)


def _check_mask(mask: NDArray[np.integer[Any]], max_pixels: int) -> None:
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"GTcls.Segmentation has shape {mask.shape}, expected (H, W)")
    if mask.size > max_pixels:
        raise ValueError(f"it has {mask.size} pixels, at most {max_pixels} are read")
    strange = np.unique(mask[((mask < 0) | (mask > VOC_CLASSES.count)) & (mask != VOC_CLASSES.ignore_index)])
    if strange.size:
        raise ValueError(f"it has labels {strange[:9].tolist()}, expected 0..{VOC_CLASSES.count}")


def _segmentation(content: bytes) -> NDArray[np.integer[Any]]:
    """Return GTcls.Segmentation of a MATLAB 5 file.

    Raises:
        ValueError, struct.error, zlib.error: The file is damaged, too large or has no such array.
    """
    if len(content) > MAX_MAT_BYTES:
        raise ValueError(f"it is larger than {MAX_MAT_BYTES} bytes")
    if content[_HEADER_BYTES - len(_VERSION) : _HEADER_BYTES] != _VERSION:
        raise ValueError("it is no file of MATLAB 5")
    for kind, body in _elements(memoryview(content)[_HEADER_BYTES:]):
        variables = _elements(_inflate(body)) if kind == _COMPRESSED else iter([(kind, body)])
        for variable_kind, variable in variables:
            if variable_kind == _MATRIX and _head(variable)[0] == b"GTcls":
                return _array(_field(variable, b"Segmentation"))
    raise ValueError("it has no GTcls")


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Go through elements: kind, length and content, padded to 8 bytes; or up to 4 bytes in the place of the length."""
    start = 0
    while start + 8 <= len(data):
        kind, count = struct.unpack_from("<II", data, start)
        begin, step = start + 8, 8 + count + (0 if kind == _COMPRESSED else -count % 8)
        if kind >> 16:
            kind, count, begin, step = kind & 0xFFFF, kind >> 16, start + 4, 8
        if begin + count > min(len(data), start + step):
            raise ValueError("it is truncated")
        yield kind, data[begin : begin + count]
        start += step


def _inflate(packed: memoryview) -> memoryview:
    inflater = zlib.decompressobj()
    plain = inflater.decompress(packed, MAX_MAT_BYTES)
    if not inflater.eof:
        raise ValueError(f"it is truncated or unpacks to more than {MAX_MAT_BYTES} bytes")
    return memoryview(plain)


def _head(matrix: memoryview) -> tuple[bytes, tuple[int, ...], Iterator[tuple[int, memoryview]]]:
    """Return the name and the shape of an array, and the elements of its content."""
    elements = _elements(matrix)
    head = [body for _, body in islice(elements, 3)]
    if len(head) < 3:
        raise ValueError("an array of it is truncated")
    _, shape, name = head
    return bytes(name), tuple(np.frombuffer(shape, "<i4").tolist()), elements


def _field(structure: memoryview, wanted: bytes) -> memoryview:
    """Return a field of the first element of a structure."""
    _, _, content = _head(structure)
    head = [bytes(body) for _, body in islice(content, 2)]
    if len(head) == 2 and len(head[0]) == 4:
        (width,) = struct.unpack("<i", head[0])
        names = (head[1][start : start + width].partition(b"\0")[0] for start in range(0, len(head[1]), max(width, 1)))
        for name, (_, field) in zip(names, content, strict=False):  # a damaged file may have fewer fields than names
            if name == wanted:
                return field
    raise ValueError(f"it has no GTcls.{wanted.decode()}")


def _array(matrix: memoryview) -> NDArray[np.integer[Any]]:
    """Return an array of integers; its values stand in the file column by column."""
    _, shape, content = _head(matrix)
    kind, values = next(content, (0, memoryview(b"")))
    if kind not in _INTEGERS or min(shape, default=0) < 1:
        raise ValueError(f"GTcls.Segmentation has shape {shape} and values of kind {kind}, expected integers")
    numbers: NDArray[np.integer[Any]] = np.frombuffer(values, f"<{_INTEGERS[kind]}")
    return numbers.reshape(shape, order="F")
