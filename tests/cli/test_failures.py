"""From errors to exit codes and one line on standard error."""

from __future__ import annotations

import errno

import pytest
import typer
from typer.testing import CliRunner

from ktse.cli.failures import KtseGroup
from ktse.errors import DataError, GuardError, KtseError, StoppedError


def run_and_raise(error: BaseException) -> tuple[int, str]:
    """Return exit code and standard error of a command that raises."""
    app = typer.Typer(cls=KtseGroup)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    result = CliRunner().invoke(app, ["fail"])
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        pytest.param(DataError("no 'x'.", remedy="Give it."), 2, "error: no 'x'. Give it.\n", id="input"),
        pytest.param(KtseError("broken"), 1, "error: broken\n", id="ours"),
        pytest.param(StoppedError("stopped"), 3, "error: stopped\n", id="stopped"),
        pytest.param(GuardError("L_kt is nan"), 3, "error: L_kt is nan\n", id="guard"),
        pytest.param(DataError("two\nlines"), 2, "error: two lines\n", id="several lines become one"),
    ],
)
def test_errors_for_people_are_one_line_with_their_code(error: KtseError, code: int, line: str) -> None:
    assert run_and_raise(error) == (code, line)


def test_interruption_says_that_nothing_is_lost() -> None:
    code, line = run_and_raise(KeyboardInterrupt())
    assert (code, line.count("\n")) == (3, 1)
    assert "the same command goes on" in line


@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(errno.ENOSPC, "no space left on the disk at '/runs/a.npz'", id="disk full"),
        pytest.param(errno.EACCES, "denied at '/runs/a.npz'", id="forbidden"),
        pytest.param(errno.EROFS, "at '/runs/a.npz'", id="read-only"),
    ],
)
def test_what_the_system_refuses_is_bad_input(number: int, words: str) -> None:
    import os

    code, line = run_and_raise(OSError(number, os.strerror(number), "/runs/a.npz"))
    assert (code, line.count("\n")) == (2, 1)
    assert words in line


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=["python", "GPU", "system"],
)
def test_a_full_memory_names_the_settings_that_need_less(error: Exception) -> None:
    code, line = run_and_raise(error)
    assert (code, line.count("\n")) == (2, 1)
    for name in ("runtime.inference_batch", "refinement.par_batch", "micro_batches", "crop_size"):
        assert name in line


@pytest.mark.parametrize(
    "error", [OSError(errno.EBADF, "bad file descriptor"), ValueError("odd")], ids=["system", "program"]
)
def test_what_nobody_can_mend_is_not_hidden(error: Exception) -> None:
    app = typer.Typer(cls=KtseGroup)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    assert CliRunner().invoke(app, ["fail"]).exception is error
