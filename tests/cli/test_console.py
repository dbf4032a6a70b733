"""Of several processes the first prints; errors name the process."""

from __future__ import annotations

import pytest
from rich.table import Table

from ktse.cli.console import complain, rank, say, show_warning
from ktse.errors import KtseWarning


def test_only_the_first_process_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    say("alone")
    monkeypatch.setenv("RANK", "0")
    say("first")
    monkeypatch.setenv("RANK", "1")
    say("second")
    assert (rank(), capsys.readouterr().out) == (1, "alone\nfirst\n")


def test_errors_of_other_processes_say_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    complain("odd\n  input")
    monkeypatch.setenv("RANK", "3")
    complain("odd input")
    assert capsys.readouterr().err == "error: odd input\n[process 3] error: odd input\n"


def test_warnings_of_ours_are_one_line_and_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    show_warning(KtseWarning("odd\n  colours."), KtseWarning, "pipeline.py", 7)
    assert capsys.readouterr().err == "warning: odd colours.\n"
    with pytest.warns(UserWarning, match="of a library"):
        show_warning(UserWarning("of a library"), UserWarning, "library.py", 7)


def test_tables_are_not_wrapped_to_a_terminal_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a", "b")
    table.add_row("x" * 90, "y" * 60)
    say(table)
    assert any("x" * 90 in line and "y" * 60 in line for line in capsys.readouterr().out.splitlines())
