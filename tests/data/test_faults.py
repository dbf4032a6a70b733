from __future__ import annotations

from ktse.data.faults import located, message_of
from ktse.errors import DataError


def test_places_are_put_before_the_message_and_the_remedy_stays() -> None:
    error = located("'photos'", located("line 3", DataError("unknown tag 'x'.", remedy="Remove it.")))
    assert str(error) == "'photos': line 3: unknown tag 'x'. Remove it."
    assert error.remedy == "Remove it."
    assert message_of(error) == "'photos': line 3: unknown tag 'x'."


def test_errors_without_remedy_keep_their_whole_text() -> None:
    assert message_of(DataError("tags are wrong.")) == "tags are wrong."
    assert str(located("a.csv", DataError("tags are wrong."))) == "a.csv: tags are wrong."
