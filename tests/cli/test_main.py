"""The command as a whole: what it prints without arguments, and how a process of it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import ktse
from ktse.cli.main import app, main


def test_no_arguments_print_commands_that_run() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    commands = [line.split("  ")[1] for line in result.stdout.splitlines() if line.startswith("  ktse")]
    assert len(commands) >= 4
    for command in commands:
        words = [
            word for word in command.split()[1:] if word.islower() and not word.startswith("-") and "/" not in word
        ]
        assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"ktse {ktse.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["frobnicate"], id="unknown command"),
        pytest.param(["run", "demo"], id="option left out"),
        pytest.param(["recipes", "--soruces"], id="unknown option"),
        pytest.param(["train"], id="group without command"),
    ],
)
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_unforeseen_errors_are_reported_as_our_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> object:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("ktse.recipes.all_recipes", broken)
    monkeypatch.setattr(sys, "argv", ["ktse", "recipes"])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    errors = capsys.readouterr().err
    assert "Traceback" in errors
    assert errors.splitlines()[-1].startswith("error: a fault of ktse (ZeroDivisionError). Please report it")


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
def test_signals_end_with_3_and_without_traceback(signal_name: str) -> None:
    script = (
        "import os, signal, sys, types\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits none\n"
        "def stop(*_, **__): os.kill(os.getpid(), signal.%s); import time; time.sleep(10)\n"
        "sys.modules['ktse.pipeline'] = types.SimpleNamespace(demo=stop)\n"
        "sys.argv = ['ktse', 'demo']\n"
        "from ktse.cli.main import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script % signal_name], capture_output=True, text=True, check=False)
    assert ran.returncode == 3
    assert ran.stderr == "error: stopped. What was done is kept; the same command goes on with it.\n"


def test_module_is_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "ktse", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"ktse {ktse.__version__}\n"
