from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from ktse.errors import WeightsError
from ktse.nets import weight_store
from ktse.nets.known_weights import KNOWN_WEIGHTS, KnownWeights, known_weights
from ktse.nets.weight_store import check_file, pull

CONTENT = b"PK\x03\x04" + bytes(1000)
ENTRY = replace(known_weights("ktse.localizer"), checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()[:8]}")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Put the folder elsewhere, and something in place of the net."""
    urls: list[str] = []

    def give(url: str, file: BinaryIO, **_: object) -> None:
        urls.append(url)
        file.write(CONTENT)

    monkeypatch.setattr(weight_store, "download", give)
    monkeypatch.setenv("KTSE_WEIGHTS", str(tmp_path / "kept"))
    return urls


def test_a_file_is_fetched_once(asked: list[str], tmp_path: Path) -> None:
    path = pull(ENTRY)
    assert path == tmp_path / "kept" / "039net_main.pth"
    assert path.read_bytes() == CONTENT
    assert pull(ENTRY) == path
    assert asked == [ENTRY.url]
    assert list(path.parent.iterdir()) == [path]


def test_into_another_folder(asked: list[str], tmp_path: Path) -> None:
    assert pull(ENTRY, folder=tmp_path / "a" / "b").parent == tmp_path / "a" / "b"
    assert len(asked) == 1


def test_a_copy_stands_for_the_net_and_replaces_what_was_there(asked: list[str], tmp_path: Path) -> None:
    own = tmp_path / "mine.pth"
    own.write_bytes(CONTENT)
    target = tmp_path / "kept" / ENTRY.file_name
    target.parent.mkdir()
    target.write_bytes(b"old")
    assert pull(ENTRY, source=own) == target
    assert target.read_bytes() == CONTENT
    assert pull(ENTRY, source=target) == target
    assert own.is_file()
    assert not asked


def test_a_file_is_on_disk_before_it_takes_the_name(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    fsync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append(os.fstat(descriptor).st_size), fsync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("rename"), rename(self, to))[1])
    pull(ENTRY)
    assert order == [len(CONTENT), "rename"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (CONTENT + b"x", "sha256 checksum [0-9a-f]{8}, its source states"),
        (b"<html>no</html>", r"no \.pth file"),
        (b"", r"no \.pth file"),
    ],
    ids=["damaged", "page of a server", "empty"],
)
def test_another_file_does_not_get_in(asked: list[str], tmp_path: Path, content: bytes, fault: str) -> None:
    own = tmp_path / "mine.pth"
    own.write_bytes(content)
    with pytest.raises(WeightsError, match=fault):
        pull(ENTRY, source=own)
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_damaged_copy_is_named_when_it_is_there(asked: list[str], tmp_path: Path) -> None:
    path = pull(ENTRY)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="remove it and get it again"):
        pull(ENTRY)
    assert path.is_file()


def test_without_a_checksum_the_beginning_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(CONTENT + b"anything")
    check_file(path, replace(ENTRY, checksum=""))


def test_limits_and_absent_files(asked: list[str], tmp_path: Path) -> None:
    own = tmp_path / "mine.pth"
    own.write_bytes(CONTENT)
    with pytest.raises(WeightsError, match="more than the limit of 10"):
        pull(ENTRY, source=own, max_bytes=10)
    with pytest.raises(WeightsError, match="no file"):
        pull(ENTRY, source=tmp_path / "absent")
    with pytest.raises(WeightsError, match=r"no address is known.*--from FILE"):
        pull(replace(ENTRY, url=""))
    assert not list((tmp_path / "kept").glob("*"))


def test_a_download_that_fails_leaves_nothing(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(url: str, file: BinaryIO, **_: object) -> None:
        file.write(b"part")
        raise WeightsError("broke off")

    monkeypatch.setattr(weight_store, "download", fail)
    with pytest.raises(WeightsError, match="broke off"):
        pull(ENTRY)
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("entry", KNOWN_WEIGHTS, ids=lambda entry: entry.name)
def test_what_is_known_can_be_checked(entry: KnownWeights) -> None:
    kind, _, digits = entry.checksum.partition(":")
    assert kind in ("", "md5", "sha256")
    assert bool(kind) == bool(digits)
    int(digits or "0", 16)
    assert entry.url == "" or entry.url.startswith("https://")
    assert entry.url == "" or entry.url.endswith(f"/{entry.file_name}")
    assert Path(entry.file_name).suffix in weight_store.BEGINNINGS
    assert entry.megabytes * 10**6 < weight_store.MAX_BYTES
