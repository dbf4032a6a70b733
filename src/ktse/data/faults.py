"""Where in a data set an error has its cause."""

from __future__ import annotations

from ktse.errors import DataError


def message_of(error: DataError) -> str:
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
