"""What README and docs say is true: commands parse, settings have the values named, Python runs, links lead on."""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

import ktse
from ktse.cli.main import app
from ktse.config import LocalizationSettings, replace
from ktse.overrides import setting_names
from ktse.recipes.dialects import PAPER

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SECTIONS = "data|localization|refinement|segmentation|evaluation|runtime"


def fenced(page: Path, language: str) -> Iterator[str]:
    """Yield the code blocks of a page in one language."""
    pattern = rf"^```{language}\n(.*?)^```"
    return (match[1] for match in re.finditer(pattern, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


def commands() -> Iterator[Any]:
    for page in PAGES:
        for block in fenced(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():  # a command may go on in the next line
                words = shlex.split(line, comments=True)
                if "ktse" in words:
                    yield pytest.param(words[words.index("ktse") + 1 :], id=f"{page.name}: {shlex.join(words)}")


@pytest.mark.parametrize("words", list(commands()))
def test_command_parses(words: list[str]) -> None:
    if ">" in words:
        words = words[: words.index(">")]
    command: Any = get_command(app)
    context = command.make_context("ktse", words)
    while hasattr(command, "commands") and context._protected_args:
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    assert command.callback is not None


def test_setting_names_exist() -> None:
    known = set(setting_names())
    sections = {name.rpartition(".")[0] for name in known}
    unknown = []
    for page in PAGES:
        for name in re.findall(
            rf"(?<!ktse\.)\b(?:{SECTIONS})\.[a-z_.]+[a-z](?:\.\*)?(?=[`=\s])", page.read_text(encoding="utf-8")
        ):
            if name not in known and name.removesuffix(".*") not in sections:
                unknown.append((page.name, name))
    assert [pair for pair in unknown if not pair[1].endswith((".py", ".md"))] == []


def test_differences_name_true_values() -> None:
    page = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.split("## Losses and labels")[1].split("\n## ")[0].splitlines()]
    found = {}
    for row in rows:
        if match := re.fullmatch(r" `(\w+)` `?([\w.]+)`? → `?([\w.]+)`? ", row[-2] if len(row) > 2 else ""):
            found[match[1]] = (yaml.safe_load(match[2]), yaml.safe_load(match[3]))
    default = LocalizationSettings()
    assert found == {name: (getattr(default, name), value) for name, value in PAPER.items()}


def test_every_row_of_the_reference_is_in_the_differences() -> None:
    page = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    named = {int(number) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for number in row.split(",")}
    assert named == set(range(1, 27))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_sessions_run(page: Path) -> None:
    assert doctest.testfile(str(page), module_relative=False).failed == 0


def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = fenced(ROOT / "README.md", "python")
    tiny = replace(
        ktse.load_recipe("demo/quick"),
        localization={"warm_up_epochs": 1, "epochs": 2, "warm_up_batch_size": 4, "batch_size": 4, "crop_size": 48},
        segmentation={"epochs": 1, "batch_size": 4, "crop_size": 48},
    )
    monkeypatch.setattr(ktse, "load_recipe", {"demo/quick": tiny}.__getitem__)
    monkeypatch.chdir(tmp_path)
    exec(code.replace("count=64", "count=8").replace("count=32", "count=2"), {})
    assert len(list((tmp_path / "runs/python/predictions").rglob("*.png"))) == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    drawn_later = "img/" if page.name == "results.md" else "nowhere"
    lost = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert [link for link in lost if not link.startswith(drawn_later)] == []


def test_commands_page_lists_every_command() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for name in get_command(app).commands:
        assert f"`ktse {name}" in page
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0


@pytest.fixture(scope="module")
def result_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("result_tables", ROOT / "docs" / "result_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ORIGIN = {"command": "ktse run demo", "commit": "0123456789abcdef", "machine": {"cores": 2}}


def test_result_becomes_a_table(result_tables: ModuleType) -> None:
    rows = {"before": {"alone": 2.064, "kept": 20.46}, "after": {"alone": None}}
    assert result_tables.lines_of({**ORIGIN, "rows": rows, "protocol": {"split": "train"}}) == [
        "|  | alone | kept |",
        "| --- | --- | --- |",
        "| before | 2.06 | 20.5 |",
        "| after | – | – |",
        "",
        "split train. Made by `ktse run demo`; commit 0123456789; cores 2.",
    ]


def test_plain_values_become_a_table(result_tables: ModuleType) -> None:
    assert "| all | 0.984 |" in result_tables.lines_of({**ORIGIN, "value": {"all": 0.984}})


def test_cases_become_the_columns_of_a_table(result_tables: ModuleType) -> None:
    cases = {"small": {"ours": {"seconds": [0.5, 0.4, 0.7], "error": 1e-13}}, "large": {"ours": {"seconds": [2, 2, 2]}}}
    result = {
        **ORIGIN,
        "size": [375, 500],
        "asked for": {"error": 1e-5},
        "cases": cases,
        "GPU": {"device": "one", "small": {"seconds": 30.0}},
    }
    assert result_tables.lines_of(result) == [
        "| cases | small | large |",
        "| --- | --- | --- |",
        "| ours: seconds | 0.5 (0.4 … 0.7) | 2 |",
        "| ours: error | 1e-13 | – |",
        "",
        "| GPU: device one | small |",
        "| --- | --- |",
        "| seconds | 30.0 |",
        "",
        "size: 375, 500; asked for: error 1e-05. Made by `ktse run demo`; commit 0123456789; cores 2.",
    ]


def score(
    stage: str, miou: float, bound: float | None = None, trusted: float | None = None, **protocol: Any
) -> dict[str, Any]:
    shares = {"over_expansion": 20.0, "under_activation": 10.0, "fully_supervised": bound}
    trust = {"trusted_accuracy": trusted, "trusted_share": None if trusted is None else 50.0}
    return {"stage": stage, "miou": miou, **shares, **trust, "protocol": {"threshold_source": "fixed", **protocol}}


def test_scores_become_a_table_for_each_kind(result_tables: ModuleType) -> None:
    on_masks = {"threshold_source": "masks"}
    rows = [
        {"row": "base", "world": 1, "scores": [score("seeds", 40.0, **on_masks), score("seeds", 30.0, bound=70.0)]},
        {"row": "base", "world": 2, "scores": [score("seeds", 42.0, **on_masks)]},
        {"row": "all", "world": 2, "scores": [score("seeds", 50.0, **on_masks)]},
    ]
    assert result_tables.lines_of({**ORIGIN, "rows": rows})[:9] == [
        "| seeds, threshold chosen on these masks | data set 1 | data set 2 | mean mIoU | mean over | mean under |",
        "| --- | --- | --- | --- | --- | --- |",
        "| base | 40.0 | 42.0 | 41.0 | 20.0 | 10.0 |",
        "| all | – | 50.0 | 50.0 | 20.0 | 10.0 |",
        "",
        "| seeds, fixed threshold | mIoU | over | under |",
        "| --- | --- | --- | --- |",
        "| base | 30.0 | 20.0 | 10.0 |",
        "| fully supervised | 70.0 | – | – |",
    ]


def test_settings_in_the_name_of_a_row_are_short(result_tables: ModuleType) -> None:
    row = "all localization.foreground_images=all localization.weights.foreground=0.1"
    table = result_tables.lines_of({**ORIGIN, "rows": [{"row": row, "world": 1, "scores": [score("masks", 40.0)]}]})
    assert table[2].startswith("| all, foreground_images=all, foreground=0.1 |")


def test_refinement_says_what_of_it_is_trusted(result_tables: ModuleType) -> None:
    """IR labels leave pixels out, so that they have no mIoU; label maps between the steps are told apart by these."""
    rows = [
        {"row": "PAR", "world": "mine", "scores": [score("masks", 40.0)]},
        {
            "row": "IRN + CRF",
            "world": "mine",
            "scores": [
                score("ir_labels", 77.0, trusted=90.0),
                score("steps", 44.0, refinement=["irn"]),
                score("masks", 46.0, trusted=80.0),
            ],
        },
    ]
    assert result_tables.lines_of({**ORIGIN, "rows": rows})[:12] == [
        "| masks | mIoU | over | under | trusted correct | trusted share |",
        "| --- | --- | --- | --- | --- | --- |",
        "| PAR | 40.0 | 20.0 | 10.0 | – | – |",
        "| IRN + CRF | 46.0 | 20.0 | 10.0 | 80.0 | 50.0 |",
        "",
        "| IR labels, precision | precision | coverage |",
        "| --- | --- | --- |",
        "| IRN + CRF | 90.0 | 50.0 |",
        "",
        "| after IRN | mIoU | over | under |",
        "| --- | --- | --- | --- |",
        "| IRN + CRF | 44.0 | 20.0 | 10.0 |",
    ]


def test_each_way_of_training_has_its_bound_and_rows_have_their_shares(result_tables: ModuleType) -> None:
    rows = [
        {"row": "one", "world": 1, "share, %": 50.0, "scores": [score("predictions", 30.0, bound=60.0, networks=1)]},
        {"row": "two", "world": 1, "share, %": 60.0, "scores": [score("predictions", 42.0, bound=70.0, networks=2)]},
    ]
    lines = [line for line in result_tables.lines_of({**ORIGIN, "rows": rows}) if "---" not in line]
    assert lines[:9] == [
        "| predictions | mIoU | over | under |",
        "| one | 30.0 | 20.0 | 10.0 |",
        "| two | 42.0 | 20.0 | 10.0 |",
        "| fully supervised | 60.0 | – | – |",
        "| fully supervised, co-training | 70.0 | – | – |",
        "",
        "| share, % |  |",
        "| one | 50.0 |",
        "| two | 60.0 |",
    ]


def test_raw_measurements_stay_in_the_file(result_tables: ModuleType) -> None:
    rows = [{"step": "walk", "ratio": 1.7, "of each round": [1.6, 1.7, 1.9], "loops of each round": [1.9, 2.0, 1.9]}]
    assert result_tables.table_lines(rows) == ["| step | ratio |", "| --- | --- |", "| walk | 1.7 |"]


def test_pages_show_what_is_measured_and_say_what_is_not(result_tables: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text(json.dumps({**ORIGIN, "value": {"step": 2}}))
    page = result_tables.with_tables("before\n\n{{ results: speed }}\n\n{{ results: size }}\n", tmp_path)
    assert "| step | 2 |" in page
    assert "*Not measured yet (`results/size.json`).*" in page


def test_pictures_that_are_not_drawn_yet_are_named(result_tables: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.png").write_bytes(b"")
    page = result_tables.without_missing_pictures("![A](img/a.png)\n\n![B](img/b.png)\n", tmp_path)
    assert page == "![A](img/a.png)\n\n*Not drawn yet (`docs/img/b.png`).*\n"


def test_committed_results_can_be_shown(result_tables: ModuleType) -> None:
    for path in (ROOT / "results").glob("*.json"):
        result_tables.lines_of(json.loads(path.read_text(encoding="utf-8")))
