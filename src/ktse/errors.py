"""Every error that ktse raises on purpose.

KtseError                 a sentence for a person: what came, what was expected, what to do     exit code 1
├── InputError            bad use or bad input                                                  exit code 2
│   ├── DataError         a data set, an image, a mask or a tag is not as it has to be
│   ├── RecipeError       a recipe or an override is unknown or invalid
│   ├── WeightsError      a weights file is missing, damaged, hostile or of another network
│   └── MissingExtraError an optional package is needed; names the pip command
└── StoppedError          stopped, nothing lost, the same command goes on                       exit code 3
    └── GuardError        a training that has gone wrong (not finite, collapsed) was stopped
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class KtseError(Exception):
    """An error whose text is meant for the person at the keyboard.

    Args:
        message: What came and what was expected, one sentence.
        remedy: What to do about it, one sentence; empty when the message says it.

    Example:
        >>> str(InputError("no folder at 'imgs'.", remedy="Give the folder that holds train.csv."))
        "no folder at 'imgs'. Give the folder that holds train.csv."
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the text as it is, to be shown by another process; what it was made from may be more than that."""
        return _unpickled, (type(self), str(self), self.remedy)


def _unpickled(kind: type[KtseError], text: str, remedy: str) -> KtseError:
    error = kind.__new__(kind, text)
    error.remedy = remedy
    return error


class InputError(KtseError):
    """Bad use or bad input."""

    exit_code = 2


class DataError(InputError):
    """A data set, an image, a mask or a tag is not as it has to be."""


class RecipeError(InputError):
    """A recipe or an override is unknown or invalid."""


class WeightsError(InputError):
    """A weights file is missing, damaged, hostile or belongs to another network."""


class MissingExtraError(InputError):
    """An optional package is needed.

    Example:
        >>> str(MissingExtraError("ONNX export", extra="onnx"))
        'ONNX export needs a package that is not installed. Install it with: pip install "ktse[onnx]"'
    """

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(
            f"{what} needs a package that is not installed.", remedy=f'Install it with: pip install "ktse[{extra}]"'
        )


class StoppedError(KtseError):
    """Work was stopped; what was done is kept and the same command goes on with it."""

    exit_code = 3


class GuardError(StoppedError):
    """A training that has gone wrong was stopped, with the reason."""


class KtseWarning(UserWarning):
    """Something that works and is likely not what is wanted; one sentence for the person at the keyboard."""


MOST_NAMES = 20
"""Known names that an error lists when none is near."""


def near_matches(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known words nearest to `name`, for the remedy of an error.

    Example:
        >>> near_matches("localisation", ["localization", "refinement"])
        "Did you mean 'localization'?"
        >>> near_matches("xyz", ["b", "a"])
        "Known are: 'a', 'b'."
    """
    words = sorted(known)
    near = difflib.get_close_matches(name, words, n=3)
    if near:
        return "Did you mean " + " or ".join(f"'{word}'" for word in near) + "?"
    shown = ", ".join(f"'{word}'" for word in words[:MOST_NAMES])
    return f"Known are: {shown}{f' and {len(words) - MOST_NAMES} more' if len(words) > MOST_NAMES else ''}."
