from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.ops.labels import label_map
from ktse.refinement.confidence import confident_region, decision_margin, untagged_region


def sine(shape: tuple[int, ...], a: float, b: float) -> np.ndarray:
    """S(shape, a, b) of REFERENCE, Appendix A."""
    return np.sin(a * np.arange(np.prod(shape)) + b).reshape(shape).astype(np.float32)


def test_appendix_a8() -> None:
    scores = (sine((3, 6, 5), 0.61, 0.4) + 1) / 2
    scores[0] = 0.25
    stack = torch.from_numpy(scores)
    assert label_map(stack, np.array([3, 8])).tolist() == [[4, 4, 4, 4, 9], [9, 9, 9, 0, 0]] * 3
    rows = ["".join(str(int(value)) for value in row) for row in confident_region(stack, 0.5)]
    assert rows == ["01100", "11010", "01100", "11001", "01100", "01101"]


def slow_region(scores: np.ndarray, share: float) -> np.ndarray:
    """REFERENCE 5.7, pixel by pixel."""
    labels, height, width = scores.shape
    won: dict[int, list[tuple[float, int, int]]] = {}
    for y in range(height):
        for x in range(width):
            column = [float(scores[k, y, x]) for k in range(labels)]
            best = max(column)
            second = max(0.0 if value == best else value for value in column)
            won.setdefault(column.index(best), []).append((second - best, y, x))
    region = np.zeros((height, width), bool)
    for pixels in won.values():
        for _, y, x in sorted(pixels)[: int(len(pixels) * share)]:
            region[y, x] = True
    return region


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([0.1, 0.5, 1.0]))
def test_equals_a_slow_loop_ties_among_it(seed: int, labels: int, share: float) -> None:
    scores = np.random.default_rng(seed).integers(0, 6, (labels, 5, 7)) / 8
    assert np.array_equal(confident_region(torch.from_numpy(scores), share), slow_region(scores, share))


@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
def test_each_label_has_its_share(share: float) -> None:
    scores = torch.rand(4, 20, 21, generator=torch.Generator().manual_seed(0))
    winner = scores.argmax(0).numpy()
    region = confident_region(scores, share)
    for label in range(4):
        assert region[winner == label].sum() == int((winner == label).sum() * share)


def test_a_common_factor_changes_nothing() -> None:
    scores = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(1))
    assert np.array_equal(confident_region(scores, 0.5), confident_region(scores * 2, 0.5))
    assert torch.equal(decision_margin(scores * 2), decision_margin(scores) * 2)


@pytest.mark.parametrize(("size", "share"), [((4, 5), 0.5), ((3, 3), 0.5), ((7, 2), 1.0)])
def test_without_tags_the_margin_rule_is_that_of_any_image(size: tuple[int, int], share: float) -> None:
    background = torch.full((1, *size), 0.2)
    region = untagged_region(size, share, rule="margin", random_seed=3, id_="a")
    assert np.array_equal(region, confident_region(background, share))


def test_without_tags_the_random_rule_draws_a_share_for_each_image_and_seed() -> None:
    def drawn(random_seed: int, id_: str) -> np.ndarray:
        return untagged_region((40, 50), 0.3, rule="random", random_seed=random_seed, id_=id_)

    region = drawn(1, "a/b")
    assert np.array_equal(region, drawn(1, "a/b")), "the same in every run"
    assert region.sum() == 600
    assert abs(region[:20].sum() - 300) < 60, "anywhere in the image"
    for other in (drawn(2, "a/b"), drawn(1, "a/c")):
        assert other.sum() == 600
        assert 0.2 < (region & other).sum() / 600 < 0.4, "independent of each other"
