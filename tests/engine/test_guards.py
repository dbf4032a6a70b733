from __future__ import annotations

import math

import pytest

from ktse.engine.guards import Guard, Watch


def guard(*, below: float | None = None, above: float | None = None, steps: int = 4) -> Guard:
    return Guard(monitor="share", below=below, above=above, steps=steps, reason="collapsed", remedy="Do less.")


def watch_of(guard: Guard, *values: float) -> Watch:
    watch = Watch(guard)
    for value in values:
        watch.see(value)
    return watch


@pytest.mark.parametrize(
    ("limits", "value", "passed"),
    [
        ({"below": 0.5}, 0.49, True),
        ({"below": 0.5}, 0.5, False),
        ({"above": 0.5}, 0.51, True),
        ({"above": 0.5}, 0.5, False),
        ({"below": 0.2, "above": 0.8}, 0.1, True),
        ({"below": 0.2, "above": 0.8}, 0.5, False),
        ({"below": 0.2, "above": 0.8}, 0.9, True),
        ({"below": 0.0}, 0.0, False),
        ({"above": 1.0}, 1.0, False),
        ({}, 1e9, False),
    ],
    ids=str,
)
def test_a_limit_is_passed_beyond_it(limits: dict[str, float], value: float, passed: bool) -> None:
    assert guard(**limits).is_passed_by(value) is passed


def test_mean_is_that_of_the_last_steps() -> None:
    watch = watch_of(guard(steps=3))
    assert math.isnan(watch.mean)
    for value, mean in ((1.0, 1.0), (2.0, 1.5), (6.0, 3.0), (10.0, 6.0), (2.0, 6.0)):
        watch.see(value)
        assert watch.mean == mean


def test_only_a_full_window_alarms() -> None:
    watch = watch_of(guard(below=0.1), 0.0, 0.0, 0.0)
    assert not watch.is_alarmed
    watch.see(0.0)
    assert watch.is_alarmed
    for value, alarmed in ((0.3, True), (0.3, False), (0.0, False), (0.0, False), (0.0, True)):
        watch.see(value)
        # windows: 0 0 0 .3 | 0 0 .3 .3 | 0 .3 .3 0 | .3 .3 0 0 | .3 0 0 0, of which means .075 and .075 are too low
        assert watch.is_alarmed is alarmed


@pytest.mark.parametrize(
    ("values", "doubtful"),
    [
        ((), False),
        ((0.3,), False),
        ((0.0,), True),
        ((0.3, 0.3, 0.3, 0.09), True),
        ((0.3, 0.3, 0.3, 0.1), False),
        ((0.0, 0.0, 0.0, 0.3), True),
        ((0.0, 0.0, 0.2, 0.3), False),
    ],
    ids=["nothing seen", "well", "bad start", "latest beyond", "latest on the limit", "mean beyond", "well again"],
)
def test_doubt_needs_one_value_or_the_mean(values: tuple[float, ...], doubtful: bool) -> None:
    assert watch_of(guard(below=0.1), *values).is_doubtful is doubtful


def test_a_mean_counts_from_a_quarter_of_the_window_on() -> None:
    seven, eight = (watch_of(guard(above=0.5, steps=32), *[1.0] * ones, 0.4) for ones in (6, 7))
    assert (seven.is_doubtful, seven.is_alarmed_at_the_end) == (False, False)
    assert (eight.is_doubtful, eight.is_alarmed_at_the_end) == (True, True)
    assert not eight.is_alarmed


def test_doubt_begins_with_the_collapse_itself() -> None:
    """The window takes long to follow; what counts for checkpoints is the value."""
    watch = watch_of(guard(below=0.01, steps=100), *[0.4] * 100)
    steps = 0
    while not watch.is_alarmed:
        watch.see(0.0)
        steps += 1
        assert watch.is_doubtful
    assert steps == 98  # the means after 97 and 98 steps are 0.012 and 0.008


def test_a_step_that_has_nothing_to_watch_is_passed_over() -> None:
    watch = watch_of(guard(below=0.1), 0.3, math.nan, 0.1, math.inf)
    assert watch.mean == pytest.approx(0.2)
    assert not watch.is_doubtful


def test_it_says_what_it_saw() -> None:
    assert str(watch_of(guard(below=0.002), 0.0012, 0.0)) == (
        "the mean of 'share' over 2 steps is 0.0006, which must not be below 0.002"
    )
    assert str(watch_of(guard(below=0.1, above=0.9), 1.0)).endswith(
        "over 1 steps is 1, which must not be below 0.1 or above 0.9"
    )
