"""The one error that says at the end which images have failed."""

from __future__ import annotations

from collections.abc import Sequence

from ktse.data.faults import message_of
from ktse.errors import DataError

NAMED = 3
"""Images that an error describes; the others are counted."""


def refuse_faults(faults: Sequence[DataError], *, images: int) -> None:
    """Raise one error about all images that have failed; nothing when there are none.

    Args:
        faults: What is wrong with them.
        images: Images that were to be done.

    Raises:
        DataError: There are faults; the first images are named.

    Example:
        >>> refuse_faults([DataError("'a.jpg' is empty.", remedy="Copy it anew.")], images=5)
        Traceback (most recent call last):
        ktse.errors.DataError: 1 of 5 images failed, the others are done. 'a.jpg' is empty. Copy it anew.
    """
    if not faults:
        return
    if len(faults) == images == 1:
        raise faults[0]
    more = len(faults) - NAMED
    named = " ".join(message_of(fault) for fault in faults[:NAMED]) + (f" And {more} more." if more > 0 else "")
    remedies = dict.fromkeys(fault.remedy for fault in faults[:NAMED] if fault.remedy)
    raise DataError(f"{len(faults)} of {images} images failed, the others are done. {named}", remedy=" ".join(remedies))
