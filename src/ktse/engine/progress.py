"""How far long work is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

PLAIN_LINE_INTERVAL = 15.0
"""Seconds between two lines where there is no terminal."""


class Report(Protocol):
    """What work calls when it has gone on."""

    def __call__(self, advance: int = 1, *, note: str = "") -> None:
        """Say that `advance` more pieces are done, with a short note such as the loss."""


def remark(what: str) -> None:
    """Say something between two pieces of work, as a line on standard error."""
    sys.stderr.write(f"{what}\n")


@contextmanager
def progress(what: str, total: int, *, done: int = 0, shown: bool = True) -> Iterator[Report]:
    """Show how far work of `total` pieces is, with rate and time left.

    Args:
        what: Name of the work.
        total: Pieces in all.
        done: Pieces that an earlier run has done.
        shown: False for all processes but the first.

    Yields:
        A function to call after each piece.
    """
    if not shown or total <= done:
        yield lambda advance=1, *, note="": None
    elif sys.stderr.isatty():
        with _bar(what, total, done) as report:
            yield report
    else:
        yield _Lines(what, total, done)


@contextmanager
def _bar(what: str, total: int, done: int) -> Iterator[Report]:
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description:<22}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[rate]}"),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[note]}"),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=done, note="", rate="")

        def report(advance: int = 1, *, note: str = "") -> None:
            speed = bar.tasks[task].speed
            bar.update(task, advance=advance, note=note, rate=f"{speed:.1f}/s" if speed else "")

        yield report


class _Lines:
    """Plain lines on standard error, one each few seconds and one at the end."""

    def __init__(self, what: str, total: int, done: int) -> None:
        self.what, self.total, self.done, self.first = what, total, done, done
        self.start = self.last = time.monotonic()

    def __call__(self, advance: int = 1, *, note: str = "") -> None:
        self.done += advance
        now = time.monotonic()
        if self.done < self.total and now - self.last < PLAIN_LINE_INTERVAL:
            return
        self.last = now
        rate = (self.done - self.first) / max(now - self.start, 1e-9)
        left = f", {rate:.1f}/s, {(self.total - self.done) / rate:.0f} s left" if rate else ""
        sys.stderr.write(f"{self.what}: {self.done}/{self.total}{left} {note}".rstrip() + "\n")
