"""Errors of single images: where they have their cause, and how they wait until the other images are done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ktse.errors import DataError, KtseError


def message_of(error: KtseError) -> str:
    """Return the text of an error without its remedy.

    Example:
        >>> message_of(DataError("unknown tag 'catt'.", remedy="Did you mean 'cat'?"))
        "unknown tag 'catt'."
    """
    return str(error).removesuffix(error.remedy).strip()


def located(place: str, error: DataError) -> DataError:
    """Return the error with the place of its cause put before it.

    Args:
        place: File, line or image.
        error: What is wrong there.

    Example:
        >>> str(located("'val.csv', line 2", DataError("unknown tag 'catt'.", remedy="Did you mean 'cat'?")))
        "'val.csv', line 2: unknown tag 'catt'. Did you mean 'cat'?"
    """
    return DataError(f"{place}: {message_of(error)}", remedy=error.remedy)


@contextmanager
def noted(faults: list[DataError] | None) -> Iterator[None]:
    """Note what is wrong with an image in place of ending all work with it; what has other causes is raised.

    Args:
        faults: Gets the error; None lets it end the work after all.

    Example:
        >>> faults = []
        >>> with noted(faults):
        ...     raise DataError("'a.jpg' is empty.")
        >>> faults
        [DataError("'a.jpg' is empty.")]
    """
    try:
        yield
    except DataError as error:
        if faults is None:
            raise
        faults.append(error)
