"""MkDocs hook: puts the table of results/NAME.json where a page says `{{ results: NAME }}`.

Understood are files with `rows` (a list, or a mapping of names to rows), where a row holds plain values or the `scores`
of a run; files with a mapping of `value`s; and files of measured cases, where each mapping of cases becomes a table. A
result that has not been measured, or a picture that has not been drawn, leaves a line that says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"
PICTURE = re.compile(r"^!\[[^\]]*\]\((?P<path>img/[^)]+)\)$", re.MULTILINE)
MARK = re.compile(r"^\{\{ *results: *(?P<name>[\w-]+) *\}\}$", re.MULTILINE)
SETTING = re.compile(r" (?:\w+\.)+(?P<name>\w+=)")
ORIGIN = ("benchmark", "command", "commit", "machine", "created", "protocol")
TRUST_COLUMNS = {"trusted_accuracy": "trusted correct", "trusted_share": "trusted share"}
SCORE_COLUMNS = {"miou": "mIoU", "over_expansion": "over", "under_activation": "under", **TRUST_COLUMNS}
LABEL_COLUMNS = {"trusted_accuracy": "precision", "trusted_share": "coverage"}
BOUND = "fully supervised"
RAW = "of each round"  # what medians are of: kept in the file, too much for a page

Row = Mapping[str, Any]


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


def lines_of(result: Row) -> list[str]:
    """Return one result as the lines of its tables and a line that says where it comes from."""
    lines = [line for table in tables_of(result) for line in (*table_lines(table), "")]
    said = [] if is_of_rows(result) else ["; ".join(facts_of(result))]
    said += [in_words(result["protocol"])] if "protocol" in result else []
    commit = str(result.get("commit") or "unknown")[:10]
    said.append(f"Made by `{result['command']}`; commit {commit}; {in_words(result['machine'])}.")
    return [*lines, ". ".join(said)]


def is_of_rows(result: Row) -> bool:
    """Return whether a result says itself what its rows are."""
    return "rows" in result or "value" in result


def facts_of(result: Row) -> list[str]:
    """Return in words what holds for all cases of a result."""
    facts = {name: value for name, value in result.items() if name not in ORIGIN and not holds_cases(value)}
    return [
        f"{name}: {in_words(value) if isinstance(value, Mapping) else cell(value)}" for name, value in facts.items()
    ]


def holds_cases(value: Any) -> bool:
    """Return whether a value is a mapping of names to cases."""
    return isinstance(value, Mapping) and any(isinstance(case, Mapping) for case in value.values())


def tables_of(result: Row) -> Iterable[list[dict[str, Any]]]:
    """Return the tables of a result, each as its rows."""
    if not is_of_rows(result):
        return [case_table(name, cases) for name, cases in result.items() if name not in ORIGIN and holds_cases(cases)]
    rows = result.get("rows", result.get("value"))
    if isinstance(rows, Mapping):
        rows = [{"": name, **(row if isinstance(row, Mapping) else {"value": row})} for name, row in rows.items()]
    return score_tables(rows) if any("scores" in row for row in rows) else [rows]


def case_table(name: str, cases: Row) -> list[dict[str, Any]]:
    """Return measured cases as columns, and what was measured as rows; what holds for all cases stands at the top."""
    measured = {case: dict(flat(values)) for case, values in cases.items() if isinstance(values, Mapping)}
    common = {case: value for case, value in cases.items() if case not in measured}
    title = f"{name}: {in_words(common)}" if common else name
    quantities = dict.fromkeys(quantity for values in measured.values() for quantity in values)
    return [
        {title: quantity, **{case: values.get(quantity) for case, values in measured.items()}}
        for quantity in quantities
    ]


def flat(values: Row, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested values with the names that lead to them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}: ")
        else:
            yield f"{prefix}{name}", value


def score_tables(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Yield for each kind of score its main figure on each data set and the means of all its figures.

    Rows are told apart by `row`, data sets by `world`. Shares that rows have besides (`NAME, %`) follow.
    """
    found: dict[str, dict[str, dict[Any, Row]]] = {}
    for row in rows:
        for score in row["scores"]:
            by_row = found.setdefault(kind_of(score), {})
            by_row.setdefault(row["row"], {})[row["world"]] = score
            if score["fully_supervised"] is not None:
                by_row.setdefault(bound_of(score), {})[row["world"]] = {"miou": score["fully_supervised"]}
    for kind, by_row in found.items():
        yield score_table(kind, by_row, LABEL_COLUMNS if kind.startswith("IR labels") else SCORE_COLUMNS)
    for share in dict.fromkeys(name for row in rows for name in row if name.endswith("%")):
        by_row = {}
        for row in rows:
            by_row.setdefault(row["row"], {})[row["world"]] = {share: row[share]}
        yield score_table(share, by_row, {share: ""})


def score_table(
    title: str, by_row: Mapping[str, Mapping[Any, Row]], columns: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the first of the columns on each data set, and the means of those that a whole row knows; bounds last.

    Of a single data set there are no means, only the columns.
    """
    main = next(iter(columns))
    worlds = sorted({world for by_world in by_row.values() for world in by_world})
    of_each, kind = (worlds, "mean ") if len(worlds) > 1 else ([], "")
    return [
        {
            title: row_name(name),
            **{f"data set {world}": percent(by_world.get(world, {}).get(main)) for world in of_each},
            **{
                f"{kind}{column}".strip(): percent(mean(score[key] for score in by_world.values()))
                for key, column in columns.items()
                if all(score.get(key) is not None for score in by_world.values())
            },
        }
        for name, by_world in sorted(by_row.items(), key=lambda item: item[0].startswith(BOUND))
    ]


def row_name(name: str) -> str:
    """Call settings in the name of a row by their last names; the command has them in full."""
    return SETTING.sub(r", \g<name>", name)


def kind_of(score: Row) -> str:
    """Say what was scored; of seeds also where their threshold comes from, of steps which ones."""
    protocol = score["protocol"]
    match score["stage"]:
        case "seeds":
            source = {"masks": ", threshold chosen on these masks", "fixed": ", fixed threshold"}
            return "seeds" + source.get(protocol["threshold_source"], "")
        case "ir_labels":
            return "IR labels, precision"
        case "steps":
            return f"after {', '.join(step.upper() for step in protocol['refinement'])}"
        case other:
            return str(other)


def bound_of(score: Row) -> str:
    """Name the bound of a score: that of two networks is another than that of one."""
    return f"{BOUND}, co-training" if (score["protocol"].get("networks") or 1) > 1 else BOUND


def table_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as a Markdown table, with every column that any row has but for raw measurements."""
    columns = list(dict.fromkeys(name for row in rows for name in row if not name.endswith(RAW)))
    cells = [[cell(row.get(name)) for name in columns] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in (columns, ["---"] * len(columns), *cells)]


def cell(value: Any) -> str:
    """Write a number with three digits or one decimal, a list, of median and range as such, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, float):
        text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
        return text if "." in text or "e" in text else f"{text}.0"
    if isinstance(value, list) and len(value) == 3 and value[1] <= value[0] <= value[2]:
        median, *ends = map(cell, value)
        return median if set(ends) == {median} else f"{median} ({' … '.join(ends)})"
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    return str(value).replace("|", "\\|")


def percent(value: float | None) -> str | None:
    """Write a percentage with one decimal."""
    return None if value is None else f"{value:.1f}"


def in_words(value: Any) -> str:
    """Write a text or a mapping as one phrase."""
    return ", ".join(f"{key} {inner}" for key, inner in value.items()) if isinstance(value, Mapping) else str(value)
