from __future__ import annotations

import numpy as np
import pytest

from ktse.data.shapes_other_things import OTHER_KINDS
from ktse.data.shapes_outlines import bounds
from ktse.data.shapes_things import KINDS, Kind, enlarge_striking


def test_no_kind_is_class_and_other_at_once() -> None:
    names = [kind.name for kind in (*KINDS, *OTHER_KINDS)]
    assert len(names) == len(set(names)) == 7 + len(OTHER_KINDS)
    assert len(OTHER_KINDS) >= 12


@pytest.mark.parametrize("kind", [*KINDS, *OTHER_KINDS], ids=lambda kind: kind.name)
def test_each_kind_has_a_textured_body_and_a_smaller_striking_part(kind: Kind) -> None:
    parts = kind.parts(np.random.default_rng(0))
    left, top, right, bottom = bounds([part.outline for part in parts if part.paint == "body"])
    x0, y0, x1, y1 = bounds([part.outline for part in parts if part.is_striking])
    assert (x1 - x0) * (y1 - y0) < (right - left) * (bottom - top)
    assert all(isinstance(part.paint, tuple) for part in parts if part.is_striking)
    assert np.all(np.abs(bounds([part.outline for part in parts])) < 1.35)


@pytest.mark.parametrize("upwards", [False, True], ids=["from the centre", "from the foot"])
def test_enlarging_the_striking_part(upwards: bool) -> None:
    parts = KINDS[1].parts(np.random.default_rng(0))
    larger = enlarge_striking(parts, 1.5, upwards=upwards)
    before = bounds([part.outline for part in parts if part.is_striking])
    after = bounds([part.outline for part in larger if part.is_striking])
    assert after[2] - after[0] == pytest.approx(1.5 * (before[2] - before[0]))
    assert after[3] - after[1] == pytest.approx(1.5 * (before[3] - before[1]))
    assert after[0] + after[2] == pytest.approx(before[0] + before[2])
    if upwards:
        assert after[3] == pytest.approx(before[3])
    else:
        assert after[1] + after[3] == pytest.approx(before[1] + before[3])
    for part, same in zip(parts, larger, strict=True):
        if not part.is_striking:
            assert same is part
