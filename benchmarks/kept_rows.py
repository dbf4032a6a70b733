"""Rows of a long measurement, kept beside its runs so that the same command goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ktse.artifacts import git_commit, read_json, write_json

Row = dict[str, Any]


def kept_rows(path: Path, measure: Callable[[], list[Row]]) -> list[Row]:
    """Return the rows of a file, or measure them and write the file; rows of another commit are measured anew.

    Args:
        path: JSON file beside the run.
        measure: Makes the rows.
    """
    commit = git_commit()
    if path.is_file():
        kept = read_json(path)
        if kept["commit"] == commit:
            rows: list[Row] = kept["rows"]
            return rows
    rows = measure()
    write_json(path, {"commit": commit, "rows": rows})
    return rows
