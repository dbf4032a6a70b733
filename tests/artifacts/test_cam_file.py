"""CAM files round-trip in half precision; a hostile or damaged one is a named error and no allocation."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.artifacts import read_cams, write_cams
from ktse.errors import DataError
from ktse.types import CamSet


def cams(present=(2, 7), grid=(3, 4), size=(12, 16)) -> CamSet:
    scores = np.linspace(0, 1, len(present) * grid[0] * grid[1], dtype=np.float32).reshape(len(present), *grid)
    return CamSet(scores, np.array(present, np.int64), size)


def arrays(**changes):
    """The content of a good file, with changes."""
    good = cams()
    content = {"scores": good.scores.astype(np.float16), "present": good.present, "size": np.array(good.size)}
    return {name: array for name, array in (content | changes).items() if array is not None}


def save(path, **content):
    with path.open("wb") as file:
        np.savez(file, **content)


@pytest.mark.parametrize("present", [(2, 7), (0,), ()], ids=["two classes", "one class", "no class"])
def test_round_trip(tmp_path, present):
    written = cams(present)
    write_cams(tmp_path / "deep" / "x.npz", written)
    read = read_cams(tmp_path / "deep" / "x.npz")
    assert read.scores.dtype == np.float16
    np.testing.assert_array_equal(read.scores, written.scores.astype(np.float16))
    assert read.present.tolist() == list(present)
    assert read.size == (12, 16)


def test_file_is_small_and_the_same_each_time(tmp_path):
    write_cams(tmp_path / "a.npz", cams(grid=(94, 125), size=(375, 500)))
    write_cams(tmp_path / "b.npz", cams(grid=(94, 125), size=(375, 500)))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.npz").stat().st_size < 2 * 94 * 125 * 2 + 2000


def test_numpy_reads_it_without_pickle(tmp_path):
    write_cams(tmp_path / "x.npz", cams())
    with np.load(tmp_path / "x.npz", allow_pickle=False) as content:
        assert sorted(content.files) == ["present", "scores", "size"]


BAD_ARRAYS = {
    "not finite": ({"scores": np.full((2, 3, 4), np.nan, np.float16)}, "not finite"),
    "infinite": ({"scores": np.full((2, 3, 4), np.inf, np.float16)}, "not finite"),
    "above one": ({"scores": np.full((2, 3, 4), 1.5, np.float16)}, "expected \\[0, 1\\]"),
    "negative": ({"scores": np.full((2, 3, 4), -0.5, np.float16)}, "expected \\[0, 1\\]"),
    "flat scores": ({"scores": np.zeros((2, 12), np.float16)}, "expected \\(P, h, w\\)"),
    "other count": ({"scores": np.zeros((3, 3, 4), np.float16)}, "expected \\(P, h, w\\)"),
    "no cells": ({"scores": np.zeros((2, 0, 4), np.float16)}, "at least one pixel"),
    "larger than the image": ({"size": np.array([2, 16])}, "larger than the image"),
    "empty image": ({"size": np.array([0, 16])}, "at least one pixel"),
    "size of three": ({"size": np.array([12, 16, 3])}, "at most 2 values"),
    "size of one": ({"size": np.array([12])}, "expected \\(2,\\)"),
    "classes descend": ({"present": np.array([7, 2])}, "ascending"),
    "class twice": ({"present": np.array([2, 2])}, "ascending"),
    "negative class": ({"present": np.array([-1, 2])}, "ascending"),
    "absurd class": ({"present": np.array([2, 2**40])}, "ascending"),
    "double precision": ({"scores": np.zeros((2, 3, 4))}, "float64"),
    "strings": ({"present": np.array(["cat", "dog"])}, "<U3"),
    "key missing": ({"size": None}, "expected scores, present and size"),
    "key too many": ({"more": np.zeros(1)}, "expected scores, present and size"),
    "column order": ({"scores": np.asfortranarray(np.zeros((2, 3, 4), np.float16))}, "expected float16"),
    "pickle": ({"present": np.array([{}, {}], dtype=object)}, "object"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_wrong_content_is_named(tmp_path, changes, message):
    save(tmp_path / "cat.npz", **arrays(**changes))
    with pytest.raises(DataError, match=message) as caught:
        read_cams(tmp_path / "cat.npz")
    assert "cat.npz" in str(caught.value)


def test_wrong_cams_are_not_written(tmp_path):
    broken = CamSet(np.full((1, 2, 2), np.nan), np.array([0]), (2, 2))
    with pytest.raises(DataError, match=r"cat\.npz"):
        write_cams(tmp_path / "cat.npz", broken)
    assert not (tmp_path / "cat.npz").exists()


def test_missing_file_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="Run localize"):
        read_cams(tmp_path / "cat.npz")


def crafted(header: bytes, data: bytes, version=b"\x01\x00") -> bytes:
    """A file whose array `scores` has this header."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data)
        for name in ("present", "size"):
            part = io.BytesIO()
            np.save(part, arrays()[name])
            archive.writestr(f"{name}.npy", part.getvalue())
    return buffer.getvalue()


def header(shape: str) -> bytes:
    return f"{{'descr': '<f2', 'fortran_order': False, 'shape': {shape}, }}".encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (crafted(header("(2, 100000, 100000)"), b""), "at most"),
        (crafted(header("(2, 20000, 20000)"), b"\0" * 48), "expected 1600000000"),
        (crafted(header("(2, -3, 4)"), b"\0" * 48), "expected float16"),
        (crafted(header("(2, 3, 4)"), b"\0" * 50_000_000), "expected 48"),
        (crafted(b"not a dictionary", b""), "CAM file"),
        (crafted(header("(2, 3, 4)"), b"\0" * 48, version=b"\x09\x00"), "version"),
        (b"no archive", "CAM file"),
        (b"", "CAM file"),
    ],
    ids=["huge", "claims more", "negative", "bomb", "no header", "version", "no zip", "empty"],
)
def test_hostile_file_costs_no_memory(tmp_path, content, message):
    (tmp_path / "cat.npz").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            read_cams(tmp_path / "cat.npz")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_any_damage_is_a_data_error_or_harmless(tmp_path_factory, place, value, cut):
    folder = tmp_path_factory.mktemp("cams")
    write_cams(folder / "x.npz", cams())
    data = bytearray((folder / "x.npz").read_bytes())
    data[place % len(data)] = value
    (folder / "x.npz").write_bytes(bytes(data[: len(data) - (cut if cut < 40 else 0)]))
    try:
        read_cams(folder / "x.npz")
    except DataError as error:
        assert "x.npz" in str(error)
