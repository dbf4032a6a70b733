from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.segmentation.mixing import (
    Labelling,
    MixedCrops,
    draw_mixing,
    mix_by_offline_labels,
    mix_by_online_labels,
    pasted_region,
    region_boundary,
)
from reference import mixing_oracle
from reference.mixing_oracle import Crop

NUM_LABELS = 6
SIZE = (9, 11)


def some_labels(classes: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.int64]:
    """Blocks of classes on background, so that regions have insides, and some ignored pixels."""
    labels = np.zeros(SIZE, np.int64)
    for label in classes:
        top, left = generator.integers(0, 5, 2)
        labels[top : top + 4, left : left + 5] = label
    return np.where(generator.random(SIZE) < 0.1, 255, labels)


def some_crop(classes: tuple[int, ...], seed: int) -> Crop:
    generator = np.random.default_rng(seed)
    online = some_labels(classes, generator)
    return Crop(
        image=generator.random((3, *SIZE), np.float32),
        labels=some_labels(classes, generator),
        trusted=generator.random(SIZE) < 0.5,
        online_labels=np.where(online == 255, 0, online),  # the largest logit is always some label
        online_trusted=generator.random(SIZE) < 0.8,
    )


CROPS = {
    "no foreground": some_crop((), 0),
    "one class": some_crop((3,), 1),
    "two classes": some_crop((1, 4), 2),
    "several classes": some_crop((1, 2, 3, 5), 3),
    "nothing confident": some_crop((2,), 4)._replace(online_trusted=np.zeros(SIZE, np.bool_)),
}
PAIRS = [(first, second) for first in CROPS for second in CROPS if first != second]


def stacked(pairs: list[tuple[str, str]], field: str) -> Tensor:
    return torch.from_numpy(np.stack([[getattr(CROPS[name], field) for name in pair] for pair in pairs]))


def drawn(number: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    draws = [draw_mixing(NUM_LABELS, 0.5, np.random.default_rng([seed, q])) for q in range(number)]
    return tuple(torch.from_numpy(np.stack(values)) for values in zip(*draws, strict=True))  # type: ignore[return-value]


def inputs() -> tuple[Tensor, Labelling, Labelling, Tensor, Tensor]:
    offline = Labelling(stacked(PAIRS, "labels"), stacked(PAIRS, "trusted"))
    online = Labelling(stacked(PAIRS, "online_labels"), stacked(PAIRS, "online_trusted"))
    return stacked(PAIRS, "image"), offline, online, *drawn(len(PAIRS))


def check(mixed: MixedCrops, oracle: Any, is_mixed: Tensor, order: Tensor) -> None:
    assert {tuple(flags) for flags in is_mixed.tolist()} == {(False, False), (False, True), (True, False), (True, True)}
    for q, pair in enumerate(PAIRS):
        for i in range(2):
            target, source = CROPS[pair[i]], CROPS[pair[1 - i]]
            slow = oracle(target, source, order[q, i].tolist()) if is_mixed[q, i] else mixing_oracle.not_mixed(target)
            for fast, expected in zip(mixed, slow, strict=True):
                assert np.array_equal(fast[q, i].numpy(), expected), (pair, i)


def test_mixing_by_offline_labels_agrees_with_the_loop() -> None:
    images, offline, _, is_mixed, order = inputs()
    check(mix_by_offline_labels(images, offline, is_mixed, order), mixing_oracle.mixed_in_warm_up, is_mixed, order)


@pytest.mark.parametrize("boundary_size", [0, 1, 2])
def test_mixing_by_online_labels_agrees_with_the_loop(boundary_size: int) -> None:
    images, offline, online, is_mixed, order = inputs()
    mixed = mix_by_online_labels(images, offline, online, is_mixed, order, boundary_size=boundary_size)

    def oracle(target: Crop, source: Crop, order: list[int]) -> mixing_oracle.Mixed:
        return mixing_oracle.mixed_online(target, source, order, boundary_size)

    check(mixed, oracle, is_mixed, order)


def test_online_labels_replace_the_offline_ones_even_when_nothing_is_pasted() -> None:
    pairs = [("one class", "nothing confident"), ("several classes", "no foreground")]
    images = stacked(pairs, "image")
    offline = Labelling(stacked(pairs, "labels"), stacked(pairs, "trusted"))
    online = Labelling(stacked(pairs, "online_labels"), stacked(pairs, "online_trusted"))
    mixed = mix_by_online_labels(images, offline, online, torch.ones(2, 2, dtype=torch.bool), drawn(2)[1])
    assert torch.equal(mixed.images[:, 0], images[:, 0])
    assert torch.equal(mixed.labels[:, 0], online.labels[:, 0])
    assert torch.equal(mixed.trusted[:, 0], online.trusted[:, 0])
    assert not mixed.boundary[:, 0].any()


def test_nothing_is_changed_in_place() -> None:
    given, untouched = inputs(), inputs()
    mix_by_offline_labels(given[0], given[1], given[3], given[4])
    mix_by_online_labels(*given)
    for a, b in zip((given[0], *given[1], *given[2], *given[3:]), (untouched[0], *untouched[1], *untouched[2],
                    *untouched[3:]), strict=True):  # fmt: skip
        assert torch.equal(a, b)


def test_the_wide_ignore_label_is_no_class() -> None:
    labels = torch.tensor([0, 65535, 2]).reshape(1, 1, 1, 3)
    region = pasted_region(labels, torch.arange(NUM_LABELS).reshape(1, 1, -1), ignore_index=65535)
    assert region.tolist() == [[[[False, False, True]]]]


@pytest.mark.parametrize(("classes", "chosen"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_half_of_the_classes_is_chosen_each_as_likely_as_the_others(classes: int, chosen: int) -> None:
    labels = torch.arange(classes + 1).reshape(1, 1, 1, -1)
    _, order = drawn(600)
    regions = pasted_region(labels.expand(600, 2, 1, -1), order)[:, :, 0]
    assert (regions.sum(-1) == chosen).all()
    assert not regions[..., 0].any()
    if classes:
        shares = regions[..., 1:].float().mean((0, 1))
        assert (shares - chosen / classes).abs().max() < 0.06  # four deviations of 1200 draws


def test_a_share_of_all_crops_is_mixed_each_for_itself() -> None:
    is_mixed, _ = drawn(1200)
    assert is_mixed.float().mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.06)
    assert (is_mixed[:, 0] & is_mixed[:, 1]).float().mean().item() == pytest.approx(0.25, abs=0.05)
    always, never = (draw_mixing(3, chance, np.random.default_rng(0))[0] for chance in (1.0, 0.0))
    assert always.all()
    assert not never.any()


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97, 1.0])
def test_boundaries_agree_with_opencv(size: int, share: float) -> None:
    region = (np.random.default_rng(5).random((20, 23)) < share).astype(np.uint8)
    kernel = np.ones((2 * size + 1, 2 * size + 1), np.uint8)
    expected = cv2.dilate(region, kernel) - cv2.erode(region, kernel)
    assert np.array_equal(region_boundary(torch.from_numpy(region > 0)[None, None], size)[0, 0].numpy(), expected > 0)
