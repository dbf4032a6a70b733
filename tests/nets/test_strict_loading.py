from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ktse.errors import WeightsError
from ktse.nets.strict_loading import load_strictly, without, without_prefix


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def random_state(net: nn.Module) -> dict[str, Tensor]:
    return {
        name: torch.rand_like(tensor) if tensor.is_floating_point() else tensor + 5
        for name, tensor in net.state_dict().items()
    }


def test_every_entry_is_copied() -> None:
    net = network()
    state = random_state(net)
    load_strictly(net, state, source="it")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_counters_may_be_absent() -> None:
    net = network()
    net[1].num_batches_tracked.fill_(3)
    state = random_state(net)
    del state["1.num_batches_tracked"]
    load_strictly(net, state, source="it")
    assert torch.equal(net[1].running_var, state["1.running_var"])
    assert net[1].num_batches_tracked == 3


def test_network_keeps_its_dtype() -> None:
    net = network().double()
    load_strictly(net, random_state(network()), source="it")
    assert net[0].weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"0.weight": None}, r"1 missing \(0.weight\)"),
        ({"2.weight": torch.zeros(1)}, r"1 unknown \(2.weight\)"),
        ({"0.bias": torch.zeros(3)}, r"1 misfitting \(0.bias: \(3,\) instead of \(2,\)\)"),
        ({"0.bias": torch.zeros(2, dtype=torch.int64)}, r"misfitting \(0.bias: torch.int64 instead of torch.float32\)"),
        ({"0.bias": [0.0, 0.0]}, r"misfitting \(0.bias: list instead of a tensor\)"),
        ({"1.running_mean": None, "x": torch.zeros(1)}, r"1 missing \(1.running_mean\); 1 unknown \(x\)"),
        ({f"x{i}": torch.zeros(1) for i in range(9)}, r"9 unknown \(x0, x1, x2, x3, …\)"),
    ],
    ids=["missing", "unknown", "shape", "kind of number", "no tensor", "two faults", "many"],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(change: dict[str, object], fault: str) -> None:
    net = network()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = {name: tensor for name, tensor in {**random_state(net), **change}.items() if tensor is not None}
    with pytest.raises(WeightsError, match=rf"the file 'x' does not fit the network: .*{fault}"):
        load_strictly(net, state, source="the file 'x'")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_names_of_others() -> None:
    net = network()
    state = {f"other/{name}": tensor for name, tensor in random_state(net).items()}
    load_strictly(net, state, source="it", foreign_name=lambda name: f"other/{name}")
    assert torch.equal(net[0].weight, state["other/0.weight"])
    del state["other/0.weight"]
    with pytest.raises(WeightsError, match=r"missing \(other/0.weight\)"):
        load_strictly(net, state, source="it", foreign_name=lambda name: f"other/{name}")


def test_prefix_is_taken_off_only_if_all_names_have_it() -> None:
    one = torch.ones(1)
    assert list(without_prefix({"module.a": one, "module.module.b": one}, "module.")) == ["a", "module.b"]
    assert list(without_prefix({"module.a": one, "b": one}, "module.")) == ["module.a", "b"]


def test_entries_are_left_out_by_prefix() -> None:
    one = torch.ones(1)
    assert list(without({"fc.weight": one, "fc8.weight": one, "head.a": one}, ["fc.", "head."])) == ["fc8.weight"]


def test_a_network_without_memory_gets_the_tensors_themselves() -> None:
    with torch.device("meta"):
        net = nn.Linear(2, 1)
    state = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
    load_strictly(net, state, source="x")
    assert net.weight.data_ptr() == state["weight"].data_ptr()
    with torch.device("meta"):
        other = nn.Linear(3, 1)
    with pytest.raises(WeightsError, match=r"weight: \(1, 2\) instead of \(1, 3\)"):
        load_strictly(other, state, source="x")
