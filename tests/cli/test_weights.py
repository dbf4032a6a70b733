"""`ktse weights`: list, get, check and convert, by the command line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from ktse.cli.main import app
from ktse.data.image_io import read_label_map, write_label_map
from ktse.nets.known_weights import KNOWN_WEIGHTS
from ktse.nets.localizer import build_localizer
from ktse.nets.published_localizer import published_name

VECTORS = Path(__file__).parents[1] / "reference" / "vectors"


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    monkeypatch.setenv("KTSE_WEIGHTS", str(folder))
    monkeypatch.setenv("KTSE_OFFLINE", "1")
    return folder


def weights(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["weights", *map(str, arguments)])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    net = build_localizer("resnet38d", 20, width=1 / 64, head_width=8)
    path = tmp_path / "mine.pth"
    torch.save({published_name(name): tensor for name, tensor in net.state_dict().items()}, path)
    return path


def test_everything_known_is_listed(kept: Path) -> None:
    kept.mkdir()
    (kept / KNOWN_WEIGHTS[0].file_name).write_bytes(bytes(2_000_000))
    printed = weights("list").stdout
    for entry in KNOWN_WEIGHTS:
        here = "yes, 2 MB" if entry is KNOWN_WEIGHTS[0] else "no"
        assert f"{entry.name}  here: {here}\n" in printed
        for part in (entry.source, entry.licence, entry.file_name, entry.url, entry.purpose, entry.checksum):
            assert part in printed
    assert str(kept) in printed


def test_a_file_is_put_in_place_checked_and_converted(kept: Path, tmp_path: Path, checkpoint: Path) -> None:
    assert weights("pull", "ktse.localizer", "--from", checkpoint).exit_code == 0
    assert (kept / "039net_main.pth").is_file()
    verified = weights("verify", "ktse.localizer")
    assert verified.exit_code == 0
    assert "20 classes; every tensor fits; no checksum is known" in verified.stdout
    converted = weights("convert", "ktse.localizer", "-o", tmp_path / "last.safetensors")
    assert converted.exit_code == 0, converted.stderr
    assert (tmp_path / "last.safetensors").is_file()


def test_masks_are_unpacked(kept: Path, tmp_path: Path) -> None:
    write_label_map(tmp_path / "a.png", np.array([[0, 15]]))
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as file:
        file.write(tmp_path / "a.png", "sem_seg/a.png")
    result = weights("pull", "ktse.masks", "--from", tmp_path / "mine.zip", "--out", tmp_path / "masks")
    assert result.exit_code == 0, result.stderr
    assert f"1 masks: {tmp_path / 'masks'}" in result.stdout
    assert read_label_map(tmp_path / "masks" / "a.png").tolist() == [[0, 15]]
    assert "an archive" in weights("verify", "ktse.masks").stdout
    assert "Score it: ktse evaluate ktse.masks" in weights("adopt", "ktse.masks", "run", "--recipe", "voc12").stderr


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("pull", "ktse.localizer"), "downloads are switched off (KTSE_OFFLINE)"),
        (("pull", "irn.voc12"), "no address is known"),
        (("pull", "ktse.localiser"), "Did you mean 'ktse.localizer'?"),
        (("pull", "ktse.localizer", "--out", "x"), "is no archive of masks"),
        (("verify", "absent.pth"), "no weights file"),
        (("convert", VECTORS / "resnet38_width_1_32.params", "-o", "x.safetensors"), "needs no conversion"),
        (("convert", VECTORS / "resnet38_width_1_32.params", "-o", "x.pth"), "does not end in .safetensors"),
        (("adopt", VECTORS / "resnet38_width_1_32.params", "x", "--recipe", "voc12/full"), "a training starts from it"),
        (("adopt", VECTORS / "resnet38_width_1_32.params", "x"), "no run at 'x'"),
        (("adopt", "ktse.localizer", "x", "--recipe", "voc12/full"), "ktse weights pull ktse.localizer"),
    ],
    ids=[
        "offline", "no address", "typo", "not masks", "no file", "trunk", "ending",
        "adopt a trunk", "adopt without a run", "adopt what is not here",
    ],
)  # fmt: skip
def test_bad_use_ends_with_one_line(arguments: tuple[str | Path, ...], fault: str) -> None:
    result = weights(*arguments)
    assert result.exit_code == 2
    assert fault in result.stderr
    assert "Traceback" not in result.stderr


def test_a_damaged_file_is_found(kept: Path) -> None:
    kept.mkdir()
    (kept / "vgg16-397923af.pth").write_bytes(b"PK\x03\x04damaged")
    result = weights("verify", "vgg16.imagenet")
    assert result.exit_code == 2
    assert "its source states 397923af" in result.stderr
