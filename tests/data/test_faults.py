from __future__ import annotations

import pytest

from ktse.data.faults import located, message_of, noted
from ktse.errors import DataError, InputError


def test_places_are_put_before_the_message_and_the_remedy_stays() -> None:
    error = located("'photos'", located("line 3", DataError("unknown tag 'x'.", remedy="Remove it.")))
    assert str(error) == "'photos': line 3: unknown tag 'x'. Remove it."
    assert error.remedy == "Remove it."
    assert message_of(error) == "'photos': line 3: unknown tag 'x'."


def test_errors_without_remedy_keep_their_whole_text() -> None:
    assert message_of(DataError("tags are wrong.")) == "tags are wrong."
    assert str(located("a.csv", DataError("tags are wrong."))) == "a.csv: tags are wrong."


def test_only_what_is_wrong_with_an_image_is_kept_back() -> None:
    faults: list[DataError] = []
    with noted(faults):
        raise DataError("a.jpg is empty.")
    assert [str(fault) for fault in faults] == ["a.jpg is empty."]
    with pytest.raises(InputError, match="disk full"), noted(faults):
        raise InputError("disk full.")
    with pytest.raises(DataError, match="nobody notes it"), noted(None):
        raise DataError("nobody notes it.")
