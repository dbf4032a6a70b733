from __future__ import annotations

import math
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ktse.errors import WeightsError
from ktse.nets.mxnet_params import read_mxnet_params

VECTORS = Path(__file__).parents[1] / "reference" / "vectors"
CODES = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6}
LAYOUTS = ["v2", "v1", "legacy"]


def shape_bytes(shape: tuple[int, ...], layout: str) -> bytes:
    if layout == "legacy":
        return struct.pack(f"<I{len(shape)}I", len(shape), *shape)
    tag = struct.pack("<Ii", 0xF993FAC9, 0) if layout == "v2" else struct.pack("<I", 0xF993FAC8)
    return tag + struct.pack(f"<I{len(shape)}q", len(shape), *shape)


def file_bytes(arrays: dict[str, NDArray[Any]], layout: str) -> bytes:
    """A parameter file as MXNet writes it."""
    content = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for array in arrays.values():
        content += shape_bytes(array.shape, layout)
        content += struct.pack("<iii", 1, 0, CODES[array.dtype.name]) + array.tobytes()
    content += struct.pack("<Q", len(arrays))
    for name in arrays:
        content += struct.pack("<Q", len(name.encode())) + name.encode()
    return content


def one_array(shape: bytes, *, code: int = 0, data: bytes = bytes(4), names: list[bytes] | None = None) -> bytes:
    """A file of one array, its parts as given."""
    names = [b"w"] if names is None else names
    listed = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    array = shape + struct.pack("<iii", 1, 0, code) + data
    return struct.pack("<QQQ", 0x112, 0, 1) + array + struct.pack("<Q", len(names)) + listed


SMALL = {
    "arg:a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "aux:b_é": np.array([-1.5, 2.5], dtype=np.float64),
    "c": np.ones((1, 2, 1, 1), np.float16),
}


@pytest.mark.parametrize("name", ["resnet38_width_1_32.params", "resnet38_width_1_32_legacy.params"])
def test_files_that_mxnet_wrote(name: str) -> None:
    read = read_mxnet_params(VECTORS / name)
    with np.load(VECTORS / "resnet38_width_1_32.npz", allow_pickle=False) as expected:
        assert list(read) == list(expected)
        for key in expected:
            assert read[key].dtype == expected[key].dtype
            np.testing.assert_array_equal(read[key], expected[key])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", CODES)
def test_every_layout_and_kind_of_number(tmp_path: Path, layout: str, kind: str) -> None:
    array = np.array([[0, 1, 2], [3, 100, 7]], dtype=kind)
    path = tmp_path / "net.params"
    path.write_bytes(file_bytes({"x": array}, layout))
    read = read_mxnet_params(str(path))["x"]
    assert read.dtype == array.dtype
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_truncated_anywhere(tmp_path: Path, layout: str) -> None:
    content = file_bytes(SMALL, layout)
    for length in range(len(content)):
        path = tmp_path / f"{length}.params"
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=path.name):
            read_mxnet_params(path)


V2 = shape_bytes((1,), "v2")
HUGE = 2**62
BROKEN = {
    "other magic": (b"PK" + bytes(200), "does not begin"),
    "trailing bytes": (one_array(V2) + b"\0", "1 bytes follow"),
    "arrays beyond the limit": (struct.pack("<QQQ", 0x112, 0, HUGE), f"{HUGE} arrays are announced"),
    "huge dimension": (one_array(shape_bytes((HUGE,), "v2")), f"{4 * HUGE} bytes are announced"),
    "product beyond 64 bits": (one_array(shape_bytes((HUGE,) * 8, "v2")), "bytes are announced"),
    "huge legacy dimension": (one_array(shape_bytes((2**32 - 1,) * 2, "legacy")), "bytes are announced"),
    "negative dimension": (one_array(shape_bytes((-1, -1), "v2")), r"shape \(-1, -1\)"),
    "negative dimension V1": (one_array(shape_bytes((-4,), "v1")), r"shape \(-4,\)"),
    "empty dimension": (one_array(shape_bytes((0,), "legacy")), r"shape \(0,\)"),
    "no dimensions": (one_array(shape_bytes((), "v2")), "0 dimensions"),
    "too many dimensions": (one_array(shape_bytes((1,) * 9, "v2")), "9 dimensions"),
    "unknown tag": (one_array(struct.pack("<I", 0xF993FACA)), f"{0xF993FACA} dimensions"),
    "sparse storage": (one_array(struct.pack("<IiIq", 0xF993FAC9, 1, 1, 1)), "storage type 1"),
    "unknown number": (one_array(V2, code=7), "number 7 is unknown"),
    "negative number": (one_array(V2, code=-1), "number -1 is unknown"),
    "names missing": (one_array(V2, names=[]), "another number of names"),
    "names left over": (one_array(V2, names=[b"a", b"b"]), "another number of names"),
    "name is no text": (one_array(V2, names=[b"\xff"]), "not text"),
    "name beyond the limit": (one_array(V2, names=[b"n" * 1001]), "1001 bytes of a name"),
    "name twice": (file_bytes({"one": SMALL["c"], "two": SMALL["c"]}, "v2").replace(b"two", b"one"), "occurs twice"),
}


@pytest.mark.parametrize(("content", "fault"), BROKEN.values(), ids=BROKEN)
def test_faults_are_named(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "net.params"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=fault):
        read_mxnet_params(path)


@pytest.mark.parametrize(
    "limit",
    [{"max_bytes": 100}, {"max_arrays": 2}, {"max_dimensions": 3}, {"max_name_bytes": 4}],
    ids=lambda limit: next(iter(limit)),
)
def test_limits_are_settings(tmp_path: Path, limit: dict[str, int]) -> None:
    path = tmp_path / "net.params"
    path.write_bytes(file_bytes(SMALL, "v2"))
    assert len(read_mxnet_params(path)) == 3
    with pytest.raises(WeightsError):
        read_mxnet_params(path, **limit)


@pytest.mark.parametrize("name", ["absent.params", "."], ids=["no file", "folder"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        read_mxnet_params(tmp_path / name)


LENGTHS = [0, 1, 8, 255, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1]
MUTATIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 400), st.binary(min_size=1, max_size=9)),
    st.tuples(st.just("write"), st.integers(0, 400), st.sampled_from(LENGTHS).map(lambda n: struct.pack("<Q", n))),
    st.tuples(st.just("write"), st.integers(0, 400), st.sampled_from(LENGTHS[:6]).map(lambda n: struct.pack("<I", n))),
    st.tuples(st.just("insert"), st.integers(0, 400), st.binary(min_size=1, max_size=9)),
    st.tuples(st.just("cut"), st.integers(0, 400), st.binary(max_size=40)),
)


def mutated(content: bytes, kind: str, at: int, piece: bytes) -> bytes:
    at %= len(content)
    rest = {"write": at + len(piece), "insert": at, "cut": at + 1 + len(piece)}[kind]
    return content[:at] + (b"" if kind == "cut" else piece) + content[rest:]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "net.params"


@settings(max_examples=2100, deadline=None, database=None)
@given(layout=st.sampled_from(LAYOUTS), mutations=st.lists(MUTATIONS, min_size=1, max_size=3))
def test_mutated_files(scratch: Path, layout: str, mutations: list[tuple[str, int, bytes]]) -> None:
    """Either a clear error or arrays that account for the whole file; never memory beyond the file's size."""
    content = file_bytes(SMALL, layout)
    for mutation in mutations:
        content = mutated(content, *mutation)
    scratch.unlink(missing_ok=True)  # a file that is overwritten goes to the disk at once on ext4: 4 ms each
    scratch.write_bytes(content)
    tracemalloc.start()
    try:
        read = read_mxnet_params(scratch)
    except WeightsError as error:
        assert str(scratch) in str(error)
    else:
        assert sum(array.nbytes + len(name.encode()) for name, array in read.items()) < len(content)
        assert all(math.prod(array.shape) == array.size > 0 for array in read.values())
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 200_000  # a buffered file and the text of an error; the smallest huge length is 2**31
