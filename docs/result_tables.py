"""MkDocs hook: puts the table of results/NAME.json where a page says `{{ results: NAME }}`.

Understood are files with `rows` (a list, or a mapping of names to rows), where a row holds plain values or the `scores`
of a run, and files with a mapping of `value`s. A result that has not been measured, or a picture that has not been
drawn, leaves a line that says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"
PICTURE = re.compile(r"^!\[[^\]]*\]\((?P<path>img/[^)]+)\)$", re.MULTILINE)
MARK = re.compile(r"^\{\{ *results: *(?P<name>[\w-]+) *\}\}$", re.MULTILINE)
SCORE_COLUMNS = {"miou": "mIoU", "over_expansion": "over", "under_activation": "under"}
BOUND = "fully supervised"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every mark of a page; called by MkDocs."""
    return without_missing_pictures(with_tables(markdown, RESULTS), Path(__file__).parent)


def with_tables(markdown: str, folder: Path) -> str:
    """Return a page with its marks replaced by the tables of a folder of results."""

    def tables(match: re.Match[str]) -> str:
        path = folder / f"{match['name']}.json"
        if not path.is_file():
            return f"*Not measured yet (`results/{path.name}`).*"
        return "\n".join(lines_of(json.loads(path.read_text(encoding="utf-8"))))

    return MARK.sub(tables, markdown)


def without_missing_pictures(markdown: str, folder: Path) -> str:
    """Return a page whose pictures are all there."""

    def picture(match: re.Match[str]) -> str:
        return match[0] if (folder / match["path"]).is_file() else f"*Not drawn yet (`docs/{match['path']}`).*"

    return PICTURE.sub(picture, markdown)


def lines_of(result: Mapping[str, Any]) -> list[str]:
    """Return one result as the lines of its tables and a line that says where it comes from."""
    rows = result.get("rows", result.get("value", {}))
    if isinstance(rows, Mapping):
        rows = [{"": name, **(row if isinstance(row, Mapping) else {"value": row})} for name, row in rows.items()]
    tables = score_tables(rows) if any("scores" in row for row in rows) else [rows]
    lines = [line for table in tables for line in (*table_lines(table), "")]
    protocol = f"{in_words(result['protocol'])}. " if "protocol" in result else ""
    commit = str(result.get("commit") or "unknown")[:10]
    return [*lines, f"{protocol}Made by `{result['command']}`; commit {commit}; {in_words(result['machine'])}."]


def score_tables(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Yield means over the data sets for every row, and for each kind of score its mIoU on each data set.

    Rows are told apart by `row`, data sets by `world`.
    """
    found: dict[str, dict[str, dict[int, Mapping[str, float]]]] = {}
    for row in rows:
        for score in row["scores"]:
            found.setdefault(kind_of(score), {}).setdefault(row["row"], {})[row["world"]] = score
            if score["fully_supervised"] is not None:
                bound = {"miou": score["fully_supervised"]}
                found[kind_of(score)].setdefault(BOUND, {})[row["world"]] = bound
    for kind, by_row in found.items():
        worlds = sorted({world for by_world in by_row.values() for world in by_world})
        yield [
            {
                kind: name,
                **{f"data set {world}": by_world.get(world, {}).get("miou") for world in worlds},
                **{
                    f"mean {title}": mean(score[key] for score in by_world.values())
                    for key, title in SCORE_COLUMNS.items()
                    if all(key in score for score in by_world.values())
                },
            }
            for name, by_world in by_row.items()
        ]


def kind_of(score: Mapping[str, Any]) -> str:
    """Say what was scored; of seeds also where their threshold comes from."""
    source = {"masks": ", threshold chosen on these masks", "fixed": ", fixed threshold"}
    return score["stage"] + (source.get(score["protocol"]["threshold_source"], "") if score["stage"] == "seeds" else "")


def table_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as a Markdown table, with every column that any row has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[cell(row.get(name)) for name in columns] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in (columns, ["---"] * len(columns), *cells)]


def cell(value: Any) -> str:
    """Write a number with one decimal, a small one with three digits, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
    return str(value).replace("|", "\\|")


def in_words(value: Any) -> str:
    """Write a text or a mapping as one phrase."""
    return ", ".join(f"{key} {inner}" for key, inner in value.items()) if isinstance(value, Mapping) else str(value)
