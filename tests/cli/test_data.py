"""`ktse data check`: a table or JSON, and exit code 2 where training would fail."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from ktse.cli.data import findings_table
from ktse.cli.main import app
from ktse.config import Recipe
from ktse.data.findings import CheckReport, Finding
from ktse.engine.cost import StageCost
from ktse.run_cost import RunCost


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
def cost(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Say at once what a run takes, and note for what."""
    asked: list[tuple[str, Path]] = []
    stages = (StageCost("localizer: warm-up", 12, "steps", 5400.0, 3 * 2**30),)

    def run_cost(recipe: Recipe, *, data: Path, report: Callable[[], None]) -> RunCost:
        asked.append((recipe.name, data))
        report()
        return RunCost(stages, "cpu", 2, 8 * 2**30)

    monkeypatch.setattr("ktse.run_cost.run_cost", run_cost)
    return asked


def test_recipe_names_the_data_and_says_the_cost(photos: Path, cost: list[tuple[str, Path]]) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(photos), "--recipe", "folder/cpu"])
    assert result.exit_code == 0
    assert "8 images in train" in result.stdout
    assert "ktse run folder/cpu on this machine (cpu, 2 cores)" in result.stdout
    assert "1.5 h" in result.stdout
    assert "The memory suffices: 3.0 of 8.0 GiB." in result.stdout
    assert cost == [("folder/cpu", photos)]


def test_a_folder_is_not_checked_for_a_recipe_that_draws_its_data(photos: Path, cost: list[tuple[str, Path]]) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(photos), "--recipe", "demo/quick"])
    assert result.exit_code == 2
    assert "need no folder" in " ".join(result.output.split())
    assert cost == []


@pytest.mark.usefixtures("cost")
def test_json_says_the_cost_and_stands_alone(photos: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(photos), "--recipe", "folder/cpu", "--json"])
    told = json.loads(result.stdout)["cost"]
    assert (told["seconds"], told["memory"], told["memory_of_machine"]) == (5400.0, 3 * 2**30, 8 * 2**30)
    assert [(stage["stage"], stage["count"], stage["unit"]) for stage in told["stages"]] == [
        ("localizer: warm-up", 12, "steps")
    ]


@pytest.mark.usefixtures("cost")
def test_settings_of_the_recipe_can_be_changed(photos: Path) -> None:
    words = ["data", "check", str(photos), "--recipe", "folder/cpu", "--set", "data.max_images=5"]
    assert "5 images in train" in CliRunner().invoke(app, words).stdout


def test_settings_without_a_recipe_are_refused() -> None:
    result = CliRunner().invoke(app, ["data", "check", "anywhere", "--set", "data.shapes_train=40"])
    assert result.exit_code == 2
    assert "--recipe" in result.stderr


def test_a_misspelt_recipe_is_named() -> None:
    result = CliRunner().invoke(app, ["data", "check", "anywhere", "--recipe", "folder/cup"])
    assert result.exit_code == 2
    assert "folder/cpu" in result.stderr
    assert result.stdout == ""


def test_fewer_images_than_a_batch_end_with_2_and_cost_nothing(photos: Path, cost: list[tuple[str, Path]]) -> None:
    for index in range(4, 12):
        (photos / "images" / f"{index}.png").unlink()
    (photos / "train.csv").write_text("image,tags\n0.png,dog\n1.png,cat\n2.png,dog\n3.png,cat\n")
    (photos / "val.csv").unlink()
    result = CliRunner().invoke(app, ["data", "check", str(photos), "--recipe", "folder/cpu", "--json"])
    assert result.exit_code == 2
    assert "has 4 images, localization.warm_up_batch_size asks for 8 at once" in result.stdout
    assert json.loads(result.stdout)["cost"] is None
    assert cost == []


def test_many_places_are_counted_and_brackets_stay() -> None:
    places = tuple(f"[bold]{index}" for index in range(9))
    assert lines_of(Finding("warning", "odd", places, "Look.")) == [
        "x: no split could be opened",
        "warning odd",
        "[bold]0, [bold]1, [bold]2 and 6 more",
        "Look.",
    ]


def test_sentences_stand_in_lines_of_their_own() -> None:
    assert lines_of(Finding("error", "odd", ("image 'a' is odd.", "image 'b' is odd."), "Mend it."))[2:] == [
        "image 'a' is odd.",
        "image 'b' is odd.",
        "Mend it.",
    ]


def test_what_to_do_about_broken_images_is_said_once(photos: Path) -> None:
    for index in range(5):
        (photos / "images" / f"{index}.png").write_bytes(b"not a png")
    (photos / "images" / "5.png").write_bytes(b"")
    result = CliRunner().invoke(app, ["data", "check", str(photos)])
    assert result.stdout.count("Copy it anew") == 1
    assert "and 3 more" in result.stdout
    assert ".," not in result.stdout


def test_long_names_stay_whole_on_a_narrow_terminal() -> None:
    setting = "localization.warm_up_batch_size=3"
    shown = lines_of(Finding("error", "few", (f"{'folder/' * 12}a.png",), f"Set {setting}."), width=80)
    assert f"Set {setting}." in shown
    assert "".join(shown[2:4]) == f"{'folder/' * 12}a.png"


def lines_of(finding: Finding, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(findings_table(CheckReport("x", {}, (finding,))))
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
