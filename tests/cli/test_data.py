"""`ktse data check`: a table or JSON, and exit code 2 where training would fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ktse.cli.data import findings_table
from ktse.cli.main import app
from ktse.data.check import CheckReport, Finding


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Make a folder of eight sound images of two classes."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    rows = ["image,tags"]
    for index in range(8):
        Image.fromarray(random.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{index}.png")
        rows.append(f"{index}.png,{'cat' if index % 2 else 'dog'}")
    for split in ("train", "val"):
        kept = rows[:5] if split == "train" else [rows[0], *rows[5:]]
        (tmp_path / f"{split}.csv").write_text("\n".join(kept) + "\n")
    return tmp_path


def test_sound_folder_ends_with_0(photos: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(photos)])
    assert result.exit_code == 0
    assert "4 images in train, 4 images in val; nothing wrong." in result.stdout


def test_broken_image_ends_with_2_and_is_named(photos: Path) -> None:
    (photos / "images" / "3.png").write_bytes(b"not a png")
    result = CliRunner().invoke(app, ["data", "check", str(photos)])
    assert result.exit_code == 2
    assert "3.png" in result.stdout
    assert "Traceback" not in result.output


def test_json_holds_the_same_findings(photos: Path) -> None:
    (photos / "images" / "3.png").write_bytes(b"not a png")
    result = CliRunner().invoke(app, ["data", "check", str(photos), "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 2
    assert found["images"] == {"train": 4, "val": 4}
    assert [finding["severity"] for finding in found["findings"]].count("error") == 1


def test_recipe_names_the_kind_of_data() -> None:
    result = CliRunner().invoke(app, ["data", "check", "anywhere", "--recipe", "demo/quick"])
    assert result.exit_code == 0
    assert "64 images in train" in result.stdout


def test_many_places_are_counted_and_brackets_stay() -> None:
    places = tuple(f"[bold]{index}" for index in range(9))
    finding = Finding("warning", "odd", places, "Look.")
    table = findings_table(CheckReport("x", {}, (finding,)))
    assert not isinstance(table, str)
    assert table.title == "x: no images"
    cells = [cell for column in table.columns for cell in column.cells]
    assert "\\[bold]0, \\[bold]1, \\[bold]2 and 6 more" in cells
