"""A memory that is full, said in a sentence, whichever library has asked for too much of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ktse.errors import InputError

_SIGNS: Final = ("out of memory", "allocate memory", "not enough memory", "insufficient memory", "alloc_failed")
"""What torch says of a GPU and of the CPU, the system, OpenCV, and the libraries of CUDA; they have no class in common.
An illegal memory access is another thing."""


def full_memory(error: Exception) -> InputError | None:
    """Return the sentence if an error says that there is not enough memory, else None.

    Example:
        >>> print(full_memory(RuntimeError("CUDA error: an illegal memory access was encountered")))
        None
    """
    if not isinstance(error, MemoryError) and not any(sign in str(error).lower() for sign in _SIGNS):
        return None
    return InputError(
        "it needs more memory than there is.",
        remedy="Lower runtime.inference_batch or refinement.par_batch; for a training raise micro_batches or lower "
        "crop_size of its section. What is finished is kept, and the same command goes on with it.",
    )


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn an allocation that fails into a sentence.

    Raises:
        InputError: There is not enough memory for what is done inside.
    """
    try:
        yield
    except Exception as error:
        if full := full_memory(error):
            raise full from error
        raise
