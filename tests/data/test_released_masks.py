from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ktse.data.image_io import read_confidence, read_label_map
from ktse.data.released_masks import unpack_masks
from ktse.errors import DataError

LABELS = np.array([[0, 15, 255], [3, 20, 0]], np.uint8)


def png(values: np.ndarray = LABELS) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def test_masks_at_any_depth_come_flat(tmp_path: Path) -> None:
    junk = [("sem_seg/", b""), ("__MACOSX/sem_seg/._a.png", b"x"), ("sem_seg/.DS_Store", b"x")]
    archive = zipped(tmp_path / "a.zip", [*junk, ("sem_seg/a.png", png()), ("b.png", png(LABELS[:1]))])
    told: list[tuple[int, int]] = []
    assert unpack_masks(archive, tmp_path / "out" / "masks", progress=lambda *done: told.append(done)) == 2
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == ["a.png", "b.png"]
    np.testing.assert_array_equal(read_label_map(tmp_path / "out" / "masks" / "a.png"), LABELS)
    assert told == [(1, 2), (2, 2)]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["masks"]


def test_only_what_is_wanted_is_unpacked_and_read(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", [("m/a.png", png()), ("m/b.png", b"not a picture")])
    assert unpack_masks(archive, tmp_path / "out", ids=["a", "c"]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    with pytest.raises(DataError, match=r"/a\.zip/m/b\.png' cannot be read"):
        unpack_masks(archive, tmp_path / "b", ids=["b"])


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "three equal channels"])
def test_confidence(tmp_path: Path, channels: int) -> None:
    trusted = np.array([[True, False, True]])
    grey = trusted.astype(np.uint8) * 255
    archive = zipped(tmp_path / "a.zip", [("m/a.png", png(grey if channels == 1 else np.stack([grey] * 3, -1)))])
    unpack_masks(archive, tmp_path / "out", kind="confidence")
    np.testing.assert_array_equal(read_confidence(tmp_path / "out" / "a.png"), trusted)


HOSTILE = {
    "climbs": ([("../../a.png", png())], "tries to leave"),
    "climbs with backslashes": ([("..\\a.png", png())], "tries to leave"),
    "absolute": ([("/tmp/a.png", png())], "tries to leave"),
    "drive": ([("C:a.png", png())], "tries to leave"),
    "program": ([("a.sh", b"#!/bin/sh")], "expected PNGs alone"),
    "hidden": ([(".a.png", png())], "expected PNGs alone"),
    "twice": ([("x/a.png", png()), ("y/a.png", png())], "'a.png' twice"),
    "empty": ([], "holds no PNG"),
    "no picture": ([("a.png", b"not a picture")], "cannot be read"),
    "colours": ([("a.png", png(np.zeros((2, 2, 3), np.uint8)))], "holds colours"),
    "too many": ([(f"{number}.png", png()) for number in range(4)], "4 entries, more than the limit of 3"),
    "one too large": ([("a.png", bytes(5000))], "5000 bytes, limit 4000"),
    "all too large": ([("a.png", bytes(3000)), ("b.png", bytes(3000))], "6000 bytes, more than the limit of 5000"),
}


@pytest.mark.parametrize(("entries", "fault"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives(tmp_path: Path, entries: list[tuple[str, bytes]], fault: str) -> None:
    archive = zipped(tmp_path / "a.zip", entries)
    with pytest.raises(DataError, match=fault):
        unpack_masks(archive, tmp_path / "out", max_files=3, max_file_bytes=4000, max_bytes=5000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_coloured_confidence_is_refused(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0]]], np.uint8)
    with pytest.raises(DataError, match="holds colours"):
        unpack_masks(zipped(tmp_path / "a.zip", [("a.png", png(colours))]), tmp_path / "out", kind="confidence")


@pytest.mark.parametrize("at", [0.0, 0.3, 0.5, 0.9], ids=str)
def test_damaged_archives(tmp_path: Path, at: float) -> None:
    archive = zipped(tmp_path / "a.zip", [("a.png", png())])
    content = bytearray(archive.read_bytes())
    place = int(at * len(content))
    content[place : place + 12] = b"\xff" * 12
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip"):
        unpack_masks(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_absent_archive_and_folder_in_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no archive"):
        unpack_masks(tmp_path / "a.zip", tmp_path / "out")
    archive = zipped(tmp_path / "a.zip", [("a.png", png())])
    with pytest.raises(DataError, match="there already"):
        unpack_masks(archive, tmp_path)
    (tmp_path / "empty").mkdir()
    assert unpack_masks(archive, tmp_path / "empty") == 1
