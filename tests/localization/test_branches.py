from __future__ import annotations

from typing import Any

import pytest

from ktse.config import LocalizationSettings
from ktse.config.localization import LossWeights
from ktse.localization.branches import needed_branches
from ktse.recipes.components import ROWS, weights_with

NEEDED = {
    "base": set(),
    "sie": {"pair", "joint"},
    "ssr": {"labels"},
    "mga": {"erased"},
    "sie-ssr": {"pair", "joint", "labels", "paired_labels"},
    "all": {"pair", "joint", "labels", "paired_labels", "erased"},
}


def needed(pairs: int = 4, **changes: Any) -> set[str]:
    step = needed_branches(LocalizationSettings().model_copy(update=changes), pairs=pairs)
    return {name for name in ("pair", "joint", "erased", "labels", "paired_labels") if getattr(step, name)}


def only(*terms: str) -> LossWeights:
    return LossWeights(**{name: float(name in terms) for name in LossWeights.model_fields})


@pytest.mark.parametrize("row", ROWS)
def test_rows_of_the_ablation(row: str) -> None:
    assert needed(weights=LossWeights(**weights_with(ROWS[row]))) == NEEDED[row]


@pytest.mark.parametrize(
    ("term", "branches"),
    [
        ("classification", set()),
        ("knowledge_transfer", {"pair", "joint"}),
        ("background", {"labels"}),
        ("foreground", {"labels"}),
        ("inter_class", set()),
        ("joint_background", {"pair", "joint", "labels", "paired_labels"}),
        ("joint_foreground", {"pair", "joint", "labels", "paired_labels"}),
        ("global_alignment", {"erased"}),
        ("local_alignment", {"erased"}),
        ("erased_classification", {"erased"}),
    ],
)
def test_each_loss_alone(term: str, branches: set[str]) -> None:
    step = needed_branches(LocalizationSettings(weights=only(term)), pairs=4)
    assert step.terms == {term}
    assert needed(weights=only(term)) == branches


def test_anchor_half_alone_needs_no_pair() -> None:
    assert needed(weights=only("knowledge_transfer"), knowledge_transfer_halves="anchor") == {"joint"}
    assert needed(weights=only("joint_background"), joint_labels="anchor") == {"joint", "labels"}
    assert needed(joint_labels="anchor") == {"joint", "pair", "labels", "erased"}, "L_kt still looks at both"


def test_without_pairs_no_losses_of_pairs() -> None:
    step = needed_branches(LocalizationSettings(), pairs=0)
    assert step.terms.isdisjoint({"knowledge_transfer", "joint_background", "joint_foreground"})
    assert needed(pairs=0) == {"labels", "erased"}
    assert needed(pairs=0, weights=only("knowledge_transfer", "joint_background")) == set()
