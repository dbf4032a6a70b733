from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ktse.data.pairs import paste_region, pick_pair

DRAWS = 4000


@settings(max_examples=60, deadline=None)
@given(tags=hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 5))), seed=st.integers(0, 2**32 - 1))
def test_a_pair_shares_a_class_with_its_anchor(tags: np.ndarray, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for anchor in range(len(tags)):
        pair = pick_pair(tags, anchor, generator)
        assert 0 <= pair < len(tags)
        assert not tags[anchor].any() or (tags[anchor] & tags[pair]).any()


def test_class_first_then_image_each_uniformly() -> None:
    # Class 0 is in images 0 and 1, class 1 in images 0, 2, 3, 4: of either class half of the draws.
    tags = np.array([[1, 1], [1, 0], [0, 1], [0, 1], [0, 1]], dtype=bool)
    generator = np.random.default_rng(0)
    pairs = [pick_pair(tags, 0, generator) for _ in range(DRAWS)]
    shares = np.bincount(pairs, minlength=5) / DRAWS
    np.testing.assert_allclose(shares, [1 / 4 + 1 / 8, 1 / 4, 1 / 8, 1 / 8, 1 / 8], atol=0.03)


def test_an_anchor_without_tags_is_paired_with_any_image() -> None:
    tags = np.array([[0, 0], [1, 0], [0, 1]], dtype=bool)
    generator = np.random.default_rng(0)
    shares = np.bincount([pick_pair(tags, 0, generator) for _ in range(DRAWS)], minlength=3) / DRAWS
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)


def test_paste_region_is_one_box_of_uniform_area() -> None:
    generator = np.random.default_rng(0)
    regions = [paste_region(64, generator) for _ in range(DRAWS)]
    for region in regions[:200]:
        assert region.dtype == bool
        assert (region == region.any(axis=1)[:, None] & region.any(axis=0)[None]).all()
    # A square of side s around a uniform centre keeps s - s^2/4 of a side after the border has cut it, on average;
    # with s^2 uniform in [0, 1] the mean of the squares is 1/2 - 1/5 + 1/48.
    mean = np.mean([region.mean() for region in regions])
    assert abs(mean - (1 / 2 - 1 / 5 + 1 / 48)) < 0.015
    rows = np.mean([region.mean(axis=1) for region in regions], axis=0)
    np.testing.assert_allclose(rows, rows[::-1], atol=0.03)
