from __future__ import annotations

import pytest

from ktse.engine import progress as module
from ktse.engine.progress import progress


def test_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLAIN_LINE_INTERVAL", 0.0)
    with progress("cams", 3, done=1) as report:
        report(note="a")
        report()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["cams: 2/3", "cams: 3/3"]
    assert "left a" in lines[0]


def test_few_lines_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("cams", 50) as report:
        for _ in range(50):
            report()
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("done", "shown"), [(3, True), (0, False)], ids=["nothing to do", "not the first process"])
def test_silence(capsys: pytest.CaptureFixture[str], done: int, shown: bool) -> None:
    with progress("cams", 3, done=done, shown=shown) as report:
        report()
    assert capsys.readouterr().err == ""


def test_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with progress("masks", 2) as report:
        report(note="x")
        report()
    assert "masks" in capsys.readouterr().err
