from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ktse.nets.deeplab import build_deeplab
from ktse.nets.deeplab_pair import DeepLabPair, build_deeplab_pair
from ktse.nets.normalization import batch_norms, freeze_batch_norms


def demo_pair(weights: str | None = None) -> DeepLabPair:
    return build_deeplab_pair(lambda: build_deeplab("demo", 4, weights, output_stride=4, dilations=(1, 2)))


@pytest.fixture
def pair() -> DeepLabPair:
    torch.manual_seed(0)
    return demo_pair()


def test_answer_is_the_mean_of_both(pair: DeepLabPair) -> None:
    images = torch.rand(2, 3, 33, 40)
    with torch.inference_mode():
        answer, first, second = (net.eval()(images) for net in (pair, pair.network1, pair.network2))
    torch.testing.assert_close(answer.pre_logits, (first.pre_logits + second.pre_logits) / 2)
    torch.testing.assert_close(answer.logits, (first.logits + second.logits) / 2, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(first.pre_logits, second.pre_logits)


@pytest.mark.parametrize("weights", [None, "demo"], ids=["without weights", "with weights"])
def test_trunks_begin_alike_and_heads_apart(weights: str | None) -> None:
    pair = demo_pair(weights)
    first, second = pair.network1.trunk.state_dict(), pair.network2.trunk.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    for one, other in zip(pair.network1.head.branches, pair.network2.head.branches, strict=True):
        assert (one.weight != other.weight).all()


def test_nothing_is_shared(pair: DeepLabPair) -> None:
    places = [parameter.data_ptr() for parameter in pair.parameters()]
    assert len(set(places)) == len(places) == 2 * sum(1 for _ in pair.network1.parameters())


def test_groups_hold_every_parameter_of_both_once(pair: DeepLabPair) -> None:
    groups = pair.parameter_groups()
    assert set(groups) == {"trunk", "head"}
    assert sorted(map(id, groups["trunk"] + groups["head"])) == sorted(map(id, pair.parameters()))
    heads = [*pair.network1.head.parameters(), *pair.network2.head.parameters()]
    assert {id(parameter) for parameter in groups["head"]} == {id(parameter) for parameter in heads}


def test_frozen_normalisation_of_both_stays_frozen(pair: DeepLabPair) -> None:
    freeze_batch_norms(pair)
    assert pair.train() is pair
    assert pair.network1.training
    assert pair.network2.training
    layers = list(batch_norms(pair))
    assert len(layers) % 2 == 0
    assert layers
    assert not any(layer.training for layer in layers)


def test_gradient_reaches_both(pair: DeepLabPair) -> None:
    F.cross_entropy(pair(torch.rand(2, 3, 32, 32)).logits, torch.ones(2, 32, 32, dtype=torch.long)).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in pair.parameters())
