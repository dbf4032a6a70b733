"""Files are whole or not there, whatever goes wrong while they are written."""

import json
import os
import stat
from pathlib import Path

import pytest

from ktse.artifacts import read_json, write_bytes_atomic, write_json
from ktse.artifacts.files import TEMPORARY_SUFFIX, remove_leftovers
from ktse.errors import DataError, InputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_write_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    write_bytes_atomic(path, b"old")
    write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file.bin"]


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    write_bytes_atomic(tmp_path / "ours", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("moment", ["fsync", "rename"])
def test_failure_keeps_the_old_file_and_no_leftover(tmp_path, monkeypatch, moment):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", fail) if moment == "fsync" else (Path, "replace", fail)))
    with pytest.raises(InputError, match=r"cannot write '.*file\.bin': No space left on device") as caught:
        write_bytes_atomic(path, b"new")
    assert caught.value.exit_code == 2
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_interrupt_passes_and_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomic(tmp_path / "file.bin", b"new")
    assert names(tmp_path) == []


def test_data_are_on_disk_before_they_take_the_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("rename"), replace(self, to))[1])
    write_bytes_atomic(tmp_path / "file.bin", b"x")
    assert order == ["fsync", "rename"]


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    write_bytes_atomic(tmp_path / "cams" / "a.npz", b"x")
    (tmp_path / "cams" / f".b.npz.0123{TEMPORARY_SUFFIX}").write_bytes(b"half")
    (tmp_path / ".hidden").write_bytes(b"mine")
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == [".hidden", "a.npz"]


def test_long_name_still_fits_the_file_system(tmp_path):
    path = tmp_path / ("n" * 250)
    write_bytes_atomic(path, b"x")
    assert path.read_bytes() == b"x"


def test_json_round_trip_is_readable_text(tmp_path):
    value = {"name": "Zürich", "list": [1, 2.5, None, True]}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert "Zürich" in (tmp_path / "x.json").read_text(encoding="utf-8")


def test_json_lists_of_numbers_take_one_line_and_stay_the_same(tmp_path):
    value = {"matrix": [[1, 2], [3, -4.5]], "text": ["a [\n 1 ]", "b"], "empty": [], "mixed": [None, True]}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text()
    assert "[1, 2]" in text
    assert "[3, -4.5]" in text
    assert json.loads(text) == value


def test_json_with_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        (b'{"a": ', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 5000, "not valid JSON"),
        (json.dumps("x" * 100).encode(), "larger than 50 bytes"),
    ],
    ids=["missing", "truncated", "no text", "deep", "large"],
)
def test_bad_json_is_named(tmp_path, content, message):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_json(path, max_bytes=50 if message.startswith("larger") else 10_000)
    assert "x.json" in str(caught.value)
