from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.data.sbd import MAX_MAT_BYTES, find_sbd, read_sbd_mask, sbd_mask_path
from ktse.errors import DataError
from reference.voc_tree import add_sbd_mask, make_sbd, make_voc

MASK = np.arange(6 * 8, dtype=np.int16).reshape(6, 8) % 21


@pytest.mark.parametrize("compressed", [True, False])
def test_a_mask(tmp_path: Path, compressed: bool) -> None:
    from scipy.io import loadmat

    path = add_sbd_mask(tmp_path, "a", MASK, compressed=compressed)
    assert path == sbd_mask_path(tmp_path, "a")
    mask = read_sbd_mask(path)
    assert (mask == MASK).all()
    assert (mask == loadmat(path)["GTcls"]["Segmentation"][0, 0]).all()
    assert mask.dtype == np.uint8
    assert mask.flags.c_contiguous


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 2), (3, 3), (500, 334)])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32])
def test_sizes_and_types(tmp_path: Path, shape: tuple[int, int], dtype: type[np.integer[Any]]) -> None:
    from scipy.io import savemat

    expected = np.random.default_rng(0).integers(0, 21, shape).astype(dtype)
    savemat(tmp_path / "a.mat", {"other": "x", "GTcls": {"Segmentation": expected}})
    assert (read_sbd_mask(tmp_path / "a.mat") == expected).all()


@pytest.mark.parametrize(
    "place",
    [
        "VOCdevkit/VOC2012/sbd",
        "VOCdevkit/VOC2012/sbd/benchmark_RELEASE/dataset",
        "VOCdevkit/benchmark_RELEASE/dataset",
        "benchmark_RELEASE/dataset",
        "SBD/dataset",
    ],
)
def test_usual_places(tmp_path: Path, place: str) -> None:
    root = make_voc(tmp_path)
    assert find_sbd(root) is None
    (tmp_path / place / "cls").mkdir(parents=True)
    assert find_sbd(root) == tmp_path / place


def test_what_is_given_comes_first(tmp_path: Path) -> None:
    root = make_voc(tmp_path)
    make_sbd(tmp_path)
    sbd = make_sbd(tmp_path / "other")
    assert find_sbd(root, sbd) == find_sbd(root, sbd.parent) == find_sbd(root, sbd.parent.parent) == sbd
    with pytest.raises(DataError, match=r"there is no SBD in '.*nowhere'.* Set data\.sbd"):
        find_sbd(root, tmp_path / "nowhere")


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def element(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, len(body)) + body


def matrix(shape: tuple[int, int], values: bytes, name: bytes = b"") -> bytes:
    """Return the content of an array of bytes, whatever its shape."""
    head = struct.pack("<IIII", 6, 8, 9, 0) + struct.pack("<IIii", 5, 8, *shape)
    return head + element(1, name) + bytes(-len(name) % 8) + element(2, values)


def variable(field: bytes, content: bytes) -> bytes:
    """Return a file of GTcls with one field."""
    head = struct.pack("<IIII", 6, 8, 2, 0) + struct.pack("<IIii", 5, 8, 1, 1) + element(1, b"GTcls") + bytes(3)
    names = struct.pack("<HHi", 5, 4, 16) + element(1, field.ljust(16, b"\0"))
    return HEADER + element(14, head + names + element(14, content))


def nested(depth: int) -> bytes:
    """Return cells in cells, at which a reader that follows them overflows its stack."""
    head = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1, 1)
    cells = [head + element(1, b"") + struct.pack("<II", 14, 48 * left) for left in reversed(range(depth))]
    return HEADER + element(14, head + element(1, b"GTcls") + bytes(3) + element(14, b"".join(cells)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no file of MATLAB 5"),
        (b"\x89PNG" * 50, "no file of MATLAB 5"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF", "no file of MATLAB 5"),
        (HEADER, "no GTcls"),
        (HEADER + element(15, zlib.compress(bytes(MAX_MAT_BYTES + 1))), "unpacks to more than"),
        (HEADER + element(14, bytes(MAX_MAT_BYTES)), "larger than"),
        (HEADER + struct.pack("<II", 14, 2**32 - 1), "truncated"),
        (HEADER + element(15, zlib.compress(bytes(1000))[:-5]), "truncated"),
        (HEADER + element(15, b"no zlib"), "cannot be used"),
        (HEADER + element(15, zlib.compress(struct.pack("<II", 14, 2**31) + bytes(40))), "truncated"),
        (HEADER + element(14, bytes(8)), "an array of it is truncated"),
        (nested(20_000), "no GTcls.Segmentation"),
        (variable(b"Segmentation", matrix((2**30, 2**30), bytes(8))), "cannot reshape"),
        (variable(b"Segmentation", matrix((-1, 8), bytes(8))), r"shape \(-1, 8\)"),
        (variable(b"Segmentation", matrix((2, 0), b"")), r"shape \(2, 0\)"),
        (variable(b"Segmentation", b""), "an array of it is truncated"),
        (variable(b"Other", matrix((2, 4), bytes(8))), "no GTcls.Segmentation"),
        (HEADER + element(14, matrix((2, 4), bytes(8), b"GTcls")), "no GTcls.Segmentation"),
    ],
    ids=[
        *("empty", "picture", "version 7.3", "no variable", "bomb", "huge", "cut off", "cut in zlib", "no zlib"),
        *("length without end", "empty array", "deep", "huge shape", "negative shape", "no pixels", "empty field"),
        *("other field", "no structure"),
    ],
)
def test_damaged_and_hostile_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_sbd_mask(path)
    assert "a.mat" in str(caught.value)


def test_files_of_other_content(tmp_path: Path) -> None:
    from scipy.io import savemat

    path = tmp_path / "a.mat"
    for content, message in (
        ({"GTinst": {"Segmentation": MASK}}, "no GTcls"),
        ({"GTcls": {"Boundaries": MASK}}, "no GTcls.Segmentation"),
        ({"GTcls": {"Segmentation": MASK.astype(float)}}, "kind 9, expected integers"),
        ({"GTcls": {"Segmentation": np.zeros((2, 2, 2), np.uint8)}}, r"\(2, 2, 2\)"),
        ({"GTcls": {"Segmentation": MASK + 5}}, r"labels \[21, 22, 23, 24, 25\], expected 0..20"),
        ({"GTcls": {"Segmentation": MASK - 1}}, r"labels \[-1\]"),
    ):
        savemat(path, content, do_compression=True)
        with pytest.raises(DataError, match=message):
            read_sbd_mask(path)


def test_missing_and_too_large_masks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no mask"):
        read_sbd_mask(tmp_path / "a.mat")
    with pytest.raises(DataError, match="48 pixels, at most 40"):
        read_sbd_mask(add_sbd_mask(tmp_path, "a", MASK), max_pixels=40)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = add_sbd_mask(tmp_path_factory.mktemp("sbd"), "a", MASK, compressed=False)
    return path.with_name("b.mat"), path.read_bytes()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_file_is_read_or_refused(sound: tuple[Path, bytes], data: st.DataObject) -> None:
    path, content = sound
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(120, len(content) - 4))
        changed[start : start + 4] = data.draw(st.sampled_from([b"\xff" * 4, bytes(4), b"\x0e\0\0\0", b"\1\0\0\x80"]))
    path.write_bytes(bytes(changed[: data.draw(st.sampled_from([len(content), len(content) // 2]))]))
    try:
        mask = read_sbd_mask(path)
    except DataError as error:
        assert "b.mat" in str(error)
    else:
        assert mask.ndim == 2
        assert set(mask.flat) <= {*range(21), 255}
