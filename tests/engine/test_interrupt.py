from __future__ import annotations

import os
import signal
import threading

import pytest

from ktse.engine.interrupt import stop_wishes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_wish_is_noted_and_handlers_are_given_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_wishes() as wish:
        assert not wish.asked
        os.kill(os.getpid(), number)
        assert wish.asked
    assert signal.getsignal(number) is before


def test_a_second_wish_does_not_wait() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_wishes():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_hear_nothing_and_change_nothing() -> None:
    before, heard = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with stop_wishes() as wish:
            heard.append((wish.asked, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [(False, before)]
