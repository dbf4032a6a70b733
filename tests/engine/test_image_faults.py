from __future__ import annotations

import pytest

from ktse.engine.image_faults import refuse_faults
from ktse.errors import DataError


def fault(number: int) -> DataError:
    return DataError(f"image '{number}' is broken.", remedy="Copy it anew." if number % 2 else "Cut it.")


@pytest.mark.parametrize(
    ("count", "images", "text"),
    [
        (1, 1, "image '0' is broken. Cut it."),
        (1, 9, "1 of 9 images failed, the others are done. image '0' is broken. Cut it."),
        (
            5,
            9,
            "5 of 9 images failed, the others are done. image '0' is broken. image '1' is broken. "
            "image '2' is broken. And 2 more. Cut it. Copy it anew.",
        ),
    ],
    ids=["alone", "one", "many"],
)
def test_faults_become_one_error(count: int, images: int, text: str) -> None:
    with pytest.raises(DataError) as caught:
        refuse_faults([fault(number) for number in range(count)], images=images)
    assert str(caught.value) == text


def test_no_fault_is_no_error() -> None:
    refuse_faults([], images=3)
