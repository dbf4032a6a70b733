"""`ktse data check`: a table or JSON, and exit code 2 where training would fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ktse.cli.data import cost_sentence, findings_table
from ktse.cli.main import app
from ktse.config import Recipe
from ktse.data.findings import CheckReport, Finding
from ktse.localization.cost import Cost


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Make a folder of twelve sound images of two classes."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    rows = ["image,tags"]
    for index in range(12):
        Image.fromarray(random.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{index}.png")
        rows.append(f"{index}.png,{'cat' if index % 2 else 'dog'}")
    for split in ("train", "val"):
        kept = rows[:9] if split == "train" else [rows[0], *rows[9:]]
        (tmp_path / f"{split}.csv").write_text("\n".join(kept) + "\n")
    return tmp_path


def test_sound_folder_ends_with_0(photos: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(photos)])
    assert result.exit_code == 0
    assert "8 images in train, 4 images in val; nothing wrong." in result.stdout


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
    assert found["images"] == {"train": 8, "val": 4}
    assert [finding["severity"] for finding in found["findings"]].count("error") == 1


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """Say at once what a training costs, and note for what."""
    asked: list[dict[str, int]] = []

    def localizer_cost(recipe: Recipe, **sizes: int) -> Cost:
        asked.append(sizes)
        return Cost(seconds=5400, memory=3 * 2**30, whole_step=False, device="cpu")

    monkeypatch.setattr("ktse.localization.cost.localizer_cost", localizer_cost)
    return asked


def test_recipe_names_the_data_and_says_the_cost(cost: list[dict[str, int]]) -> None:
    result = CliRunner().invoke(app, ["data", "check", "anywhere", "--recipe", "demo/quick"])
    assert result.exit_code == 0
    assert "64 images in train" in result.stdout
    assert "about 1.5 hours and at least 3.0 GiB" in result.stdout
    assert cost == [{"images": 64, "classes": 7}]


def test_json_says_the_cost(cost: list[dict[str, int]]) -> None:
    result = CliRunner().invoke(app, ["data", "check", "anywhere", "--recipe", "demo/quick", "--json"])
    expected = {"seconds": 5400, "memory": 3 * 2**30, "whole_step": False, "device": "cpu"}
    assert json.loads(result.stdout)["cost"] == expected


def test_fewer_images_than_a_batch_end_with_2_and_cost_nothing(photos: Path, cost: list[dict[str, int]]) -> None:
    for index in range(4, 12):
        (photos / "images" / f"{index}.png").unlink()
    (photos / "train.csv").write_text("image,tags\n0.png,dog\n1.png,cat\n2.png,dog\n3.png,cat\n")
    (photos / "val.csv").unlink()
    result = CliRunner().invoke(app, ["data", "check", str(photos), "--recipe", "folder/cpu", "--json"])
    assert result.exit_code == 2
    assert "has 4 images, localization.warm_up_batch_size asks for 8 at once" in result.stdout
    assert json.loads(result.stdout)["cost"] is None
    assert cost == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(20.4, "20 seconds"), (90, "1.5 minutes"), (7200, "2.0 hours"), (259_200, "3.0 days")]
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert f"about {words} and" in cost_sentence(Cost(seconds=seconds, memory=1, whole_step=True, device="cuda"))


def test_more_memory_than_there_is_has_a_remedy() -> None:
    assert "localization.micro_batches" in cost_sentence(Cost(seconds=1, memory=2**60, whole_step=True, device="cpu"))


def test_many_places_are_counted_and_brackets_stay() -> None:
    places = tuple(f"[bold]{index}" for index in range(9))
    finding = Finding("warning", "odd", places, "Look.")
    table = findings_table(CheckReport("x", {}, (finding,)))
    assert not isinstance(table, str)
    assert table.title == "x: no images"
    cells = [cell for column in table.columns for cell in column.cells]
    assert "\\[bold]0, \\[bold]1, \\[bold]2 and 6 more" in cells
