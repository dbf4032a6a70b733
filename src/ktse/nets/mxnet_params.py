"""Reading MXNet's parameter files without MXNet, distrusting every length that they state.

The container is little-endian: u64 magic, u64 reserved, u64 n, n arrays, u64 n, n names (u64 length, bytes).
An array is a shape, i32 device type, i32 device id, i32 kind of number, data. The shape is told by a first u32:

    0xF993FAC9 (V2)  i32 storage type (0 dense), u32 dimensions, i64 each
    0xF993FAC8 (V1)  u32 dimensions, i64 each
    otherwise        the layout before 2017, which the published ImageNet file has: itself the dimensions, u32 each
"""

from __future__ import annotations

import math
import struct
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ktse.errors import WeightsError

MAGIC = 0x112
V1, V2 = 0xF993FAC8, 0xF993FAC9
DENSE = 0
NUMBERS = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")
"""numpy's names of MXNet's kinds of number, in the order of their codes."""


def read_mxnet_params(
    path: str | Path,
    *,
    max_bytes: int = 4 * 2**30,
    max_arrays: int = 10_000,
    max_dimensions: int = 8,
    max_name_bytes: int = 1_000,
) -> dict[str, NDArray[Any]]:
    """Read a `.params` file (REFERENCE 1.5).

    Memory never exceeds the size of the file: each length is checked against what is left of it before anything is
    made. The limits refuse what no network has.

    Args:
        path: The file.
        max_bytes: Largest file.
        max_arrays: Most arrays.
        max_dimensions: Most dimensions of an array.
        max_name_bytes: Longest name.

    Returns:
        Arrays by their names in the file, such as `arg:conv1a_weight`.

    Raises:
        WeightsError: The file is missing, of another format, cut off, inconsistent, longer than its content, or beyond
            a limit.

    Example:
        >>> import tempfile
        >>> one = struct.pack("<QQQ IIiii f Q Q4s", 0x112, 0, 1, 1, 1, 1, 0, 0, 0.5, 1, 4, b"bias")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "net.params"
        ...     _ = path.write_bytes(one)
        ...     read_mxnet_params(path)
        {'bias': array([0.5], dtype=float32)}
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            source = _Source(file, path)
            if source.left > max_bytes:
                source.fail(f"it has {source.left} bytes, more than the limit of {max_bytes}")
            if source.number("Q") != MAGIC:
                source.fail("it does not begin as such a file does")
            source.number("Q")  # reserved
            count = source.count("Q", "arrays", max_arrays)
            arrays = [_array(source, max_dimensions) for _ in range(count)]
            if source.count("Q", "names", max_arrays) != count:
                source.fail(f"it has {count} arrays and another number of names")
            names = [_name(source, max_name_bytes) for _ in range(count)]
            if source.left:
                source.fail(f"{source.left} bytes follow its end")
            if len(set(names)) < count:
                source.fail("a name occurs twice")
    except OSError as error:
        raise WeightsError(f"cannot read '{path}': {error.strerror}.") from error
    return dict(zip(names, arrays, strict=True))


class _Source:
    """An open file that knows how much is left of it."""

    def __init__(self, file: BufferedReader, path: Path) -> None:
        self._file = file
        self._path = path
        self.left = path.stat().st_size

    def fail(self, fault: str) -> NoReturn:
        raise WeightsError(
            f"'{self._path}' is no sound MXNet parameter file: {fault} (near byte {self._file.tell()}).",
            remedy="It is damaged or of another kind: get it again.",
        )

    def bytes(self, length: int) -> bytes:
        self._take(length)
        content = self._file.read(length)
        if len(content) < length:
            self.fail("it became shorter while it was read")
        return content

    def array(self, shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
        length = math.prod(shape) * kind.itemsize
        self._take(length)
        array = np.empty(shape, kind)
        if self._file.readinto(array.reshape(-1).view(np.uint8).data) < length:
            self.fail("it became shorter while it was read")
        return array

    def _take(self, length: int) -> None:
        if length > self.left:
            self.fail(f"{length} bytes are announced and {self.left} are left")
        self.left -= length

    def number(self, kind: str) -> int:
        value: int = struct.unpack(f"<{kind}", self.bytes(struct.calcsize(f"<{kind}")))[0]
        return value

    def count(self, kind: str, what: str, limit: int) -> int:
        value = self.number(kind)
        if value > limit:
            self.fail(f"{value} {what} are announced, more than the limit of {limit}")
        return value


def _array(source: _Source, max_dimensions: int) -> NDArray[Any]:
    shape = _shape(source, max_dimensions)
    source.number("i")  # device type and id: where the array lay when it was saved
    source.number("i")
    code = source.number("i")
    if not 0 <= code < len(NUMBERS):
        source.fail(f"the kind of number {code} is unknown")
    return source.array(shape, np.dtype(NUMBERS[code]))


def _shape(source: _Source, max_dimensions: int) -> tuple[int, ...]:
    tag = source.number("I")
    if tag == V2 and (storage := source.number("i")) != DENSE:
        source.fail(f"the storage type {storage} is not dense")
    dimensions, kind = (source.number("I"), "q") if tag in (V1, V2) else (tag, "I")
    if not 1 <= dimensions <= max_dimensions:
        source.fail(f"an array has {dimensions} dimensions; 1 to {max_dimensions} were expected")
    shape = tuple(source.number(kind) for _ in range(dimensions))
    if min(shape) < 1:
        source.fail(f"an array has the shape {shape}")
    return shape


def _name(source: _Source, max_name_bytes: int) -> str:
    length = source.count("Q", "bytes of a name", max_name_bytes)
    try:
        return source.bytes(length).decode()
    except UnicodeDecodeError:
        source.fail("a name is not text")
