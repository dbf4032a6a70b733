"""`ktse weights list`: every name, and whether this machine has the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ktse.cli.main import app
from ktse.nets.known_weights import KNOWN_WEIGHTS


def test_every_name_is_listed_with_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KTSE_WEIGHTS", str(tmp_path))
    (tmp_path / KNOWN_WEIGHTS[0].file_name).write_bytes(b"")
    printed = CliRunner().invoke(app, ["weights", "list"]).stdout
    for entry in KNOWN_WEIGHTS:
        line = next(line for line in printed.splitlines() if line.startswith(entry.name))
        here = entry is KNOWN_WEIGHTS[0]
        assert line.split()[2] == ("yes" if here else "no")
        assert entry.source in line
    assert str(tmp_path) in printed
