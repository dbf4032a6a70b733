from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ktse.engine import share_images as module
from ktse.engine.share_images import share_images
from ktse.errors import DataError, InputError, KtseError, StoppedError


def shares(left: list[int], world_size: int) -> list[list[int]]:
    """Return what each of several processes gets to do."""
    done: list[list[int]] = []
    for rank in range(world_size):
        process: Any = SimpleNamespace(global_rank=rank, world_size=world_size)
        assert share_images("x", left, lambda todo, report: done.append(todo) or [], images=10, fabric=process) == len(
            done[-1]
        )
    return done


def test_shares_are_a_partition_whose_parts_are_equal() -> None:
    assert shares(list(range(10)), 3) == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]


def test_of_the_rest_every_process_has_as_much_to_do() -> None:
    """All that an earlier run of two processes has left are images of its second process."""
    assert shares([1, 3, 5, 7], 2) == [[1, 5], [3, 7]]


def test_one_process_does_everything() -> None:
    done = []
    assert share_images("x", [2, 4], lambda todo, report: done.extend(todo) or [], images=5, fabric=None) == 2
    assert done == [2, 4]


def test_a_wish_to_stop_is_granted_at_the_next_report() -> None:
    def work(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        report(1)
        os.kill(os.getpid(), signal.SIGTERM)
        report(0)
        return []

    with pytest.raises(StoppedError, match=r"x stopped; finished images are kept\. Run the same command again\."):
        share_images("x", [1, 2], work, images=3, fabric=None)


def test_images_that_failed_are_told_when_the_others_are_done() -> None:
    with pytest.raises(DataError, match=r"1 of 3 images failed, the others are done\. image 1 is broken\."):
        share_images("x", [1, 2], lambda todo, report: [DataError("image 1 is broken.")], images=3, fabric=None)


def with_other(monkeypatch: pytest.MonkeyPatch, trouble: KtseError | None, faults: list[DataError]) -> None:
    """Let another process bring this to the end."""
    monkeypatch.setattr(module, "gathered", lambda own, fabric: [own, (trouble, faults)])


def test_faults_of_all_processes_are_told_by_each(monkeypatch: pytest.MonkeyPatch) -> None:
    with_other(monkeypatch, None, [DataError("image 2 is broken.")])
    with pytest.raises(DataError, match=r"2 of 3 images failed.*image 1 is broken\. image 2 is broken\."):
        share_images("x", [1, 2], lambda todo, report: [DataError("image 1 is broken.")], images=3, fabric=None)


def test_what_ends_one_process_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with_other(monkeypatch, InputError("disk full."), [])
    with pytest.raises(InputError, match="disk full"):
        share_images("x", [1, 2], lambda todo, report: [], images=3, fabric=None)

    def stop(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        raise StoppedError("stopped.")

    with pytest.raises(StoppedError, match="stopped"):
        share_images("x", [1, 2], stop, images=3, fabric=None)


def test_a_full_memory_is_a_sentence_for_all() -> None:
    def work(todo: list[int], report: Callable[[int], None]) -> list[DataError]:
        raise MemoryError

    with pytest.raises(InputError, match="more memory than there is"):
        share_images("x", [1, 2], work, images=3, fabric=None)
