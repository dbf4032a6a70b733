from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ktse.errors import WeightsError
from ktse.nets.localizer import Localizer, build_localizer
from ktse.nets.published_localizer import load_published_localizer


def network(num_classes: int = 3, width: float = 1 / 64) -> Localizer:
    return build_localizer("resnet38d", num_classes=num_classes, width=width, head_width=16)


def released(net: Localizer) -> dict[str, Tensor]:
    """Random tensors under the released names, with bn8 and all counters."""
    inner = {**net.trunk.state_dict(), **net.gpp.state_dict()}
    inner |= {f"{name}.weight": getattr(net, name).weight for name in ("fc8", "fc9")}
    inner |= {f"bn8.{name}": tensor for name, tensor in torch.nn.BatchNorm2d(16).state_dict().items()}
    return {name: torch.rand_like(tensor) if tensor.ndim else tensor for name, tensor in inner.items()}


def assert_loaded(net: Localizer, state: dict[str, Tensor]) -> None:
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[name.removeprefix("trunk.").removeprefix("gpp.")]), name


@pytest.mark.parametrize(("num_classes", "width"), [(3, 1 / 64), (1, 1 / 32)], ids=["3 classes", "1 class, wider"])
def test_released_names(num_classes: int, width: float) -> None:
    net = network(num_classes, width)
    state = released(net)
    assert len(state) == 241
    load_published_localizer(net, state)
    assert_loaded(net, state)


@pytest.mark.parametrize(
    "kept",
    [lambda name: "num_batches_tracked" not in name, lambda name: "bn8" not in name],
    ids=["without counters", "without bn8"],
)
def test_optional_entries(kept: object) -> None:
    net = network()
    state = released(net)
    load_published_localizer(net, {name: tensor for name, tensor in state.items() if kept(name)})
    assert_loaded(net, state)


def test_module_prefix() -> None:
    net = network()
    state = released(net)
    load_published_localizer(net, {f"module.{name}": tensor for name, tensor in state.items()})
    assert_loaded(net, state)


@pytest.mark.parametrize("name", ["fc9.weight", "b4_5.bn_branch2b1.running_var", "gconv2.att_n.0.weight"])
def test_missing_entry_is_named(name: str) -> None:
    net = network()
    state = released(net)
    del state[name]
    with pytest.raises(WeightsError, match=rf"1 missing \({name}\)"):
        load_published_localizer(net, state)


def test_unknown_entry_is_named() -> None:
    net = network()
    with pytest.raises(WeightsError, match=r"1 unknown \(fc10.weight\)"):
        load_published_localizer(net, {**released(net), "fc10.weight": torch.ones(1)})


def test_other_number_of_classes_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"fc9.weight: \(4, 16, 1, 1\) instead of \(6, 16, 1, 1\)"):
        load_published_localizer(network(5), released(network(3)))
