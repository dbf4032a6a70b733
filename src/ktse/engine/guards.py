"""Guards: what stops a training that has gone wrong although all its losses are finite."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Limits for the running mean of something that a training watches.

    Attributes:
        monitor: Name of a monitor that the task reports at every step.
        below: The mean must not fall below this; None for no such limit.
        above: The mean must not rise above this; None for no such limit.
        steps: Steps that the mean is taken over.
        reason: What has happened when a limit is passed, as the beginning of a sentence.
        remedy: What to do about it, one sentence.

    Example:
        >>> guard = Guard(monitor="ignored", above=0.95, steps=200, reason="nothing to learn from", remedy="")
        >>> guard.is_passed_by(0.95), guard.is_passed_by(0.96)
        (False, True)
    """

    monitor: str
    below: float | None = None
    above: float | None = None
    steps: int
    reason: str
    remedy: str

    def is_passed_by(self, value: float) -> bool:
        """Whether a value is beyond a limit; a value on the limit is not."""
        return (self.below is not None and value < self.below) or (self.above is not None and value > self.above)


class Watch:
    """The running mean of what one guard watches. A resumed training begins with an empty window.

    Two questions have two answers. To stop a training takes a whole window beyond a limit. To withhold a checkpoint
    takes less, so that the last one written is from before the collapse: the latest value, or the mean of what is
    there of the window, provided that it is a quarter.

    Args:
        guard: Monitor, limits and window.

    Example:
        >>> watch = Watch(Guard(monitor="foreground", below=0.05, steps=4, reason="collapsed", remedy=""))
        >>> for share in (0.3, 0.0, 0.0, 0.0):
        ...     watch.see(share)
        >>> watch.mean, watch.is_alarmed, watch.is_doubtful
        (0.075, False, True)
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._window: deque[float] = deque(maxlen=guard.steps)

    def see(self, value: float) -> None:
        """Take the value of the next step; one that is not finite says that the step had nothing to watch."""
        if math.isfinite(value):
            self._window.append(value)

    @property
    def mean(self) -> float:
        """Mean of the window as far as it is filled; NaN when it is empty."""
        return math.fsum(self._window) / len(self._window) if self._window else math.nan

    @property
    def is_alarmed(self) -> bool:
        """Whether the mean of a full window is beyond a limit."""
        return len(self._window) == self.guard.steps and self.guard.is_passed_by(self.mean)

    @property
    def is_doubtful(self) -> bool:
        """Whether the network may have gone wrong, so that no checkpoint of it should replace an older one."""
        return bool(self._window) and (self.guard.is_passed_by(self._window[-1]) or self.is_alarmed_at_the_end)

    @property
    def is_alarmed_at_the_end(self) -> bool:
        """Whether a training that ends here has gone wrong: the mean counts if a quarter of the window is filled."""
        return 4 * len(self._window) >= self.guard.steps and self.guard.is_passed_by(self.mean)

    def __str__(self) -> str:
        below, above = self.guard.below, self.guard.above
        limits = [f"{word} {limit:g}" for word, limit in (("below", below), ("above", above)) if limit is not None]
        return (
            f"the mean of '{self.guard.monitor}' over {len(self._window)} steps is {self.mean:.3g}, "
            f"which must not be {' or '.join(limits)}"
        )
