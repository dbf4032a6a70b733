"""From errors to exit codes: 0 done, 1 fault of ours, 2 bad use or input, 3 stopped but resumable."""

from __future__ import annotations

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from ktse.cli.console import complain
from ktse.engine.full_memory import full_memory
from ktse.errors import InputError, KtseError, StoppedError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


class KtseGroup(TyperGroup):
    """The commands of ktse: what a person can mend ends with one line and an exit code, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KtseError as error:
            failure: KtseError = error
        except KeyboardInterrupt:
            failure = StoppedError("stopped.", remedy="What was done is kept; the same command goes on with it.")
        except Exception as error:
            failure = full_memory(error) or _of_the_system(error)
        complain(str(failure))
        raise typer.Exit(failure.exit_code)


def _of_the_system(error: Exception) -> KtseError:
    """Turn a full disk or a forbidden path into a sentence; raise again what nobody at the keyboard can mend."""
    if not isinstance(error, OSError):
        raise error
    place = f" at '{error.filename}'" if error.filename else ""
    if error.errno in _FULL:
        return InputError(
            f"no space left on the disk{place}.",
            remedy="Make room; what was done is kept and the same command goes on.",
        )
    if error.errno in _FORBIDDEN:
        return InputError(f"{error.strerror}{place}.", remedy="Give a path that can be read and written.")
    raise error
