from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ktse.errors import WeightsError
from ktse.nets.localizer import build_localizer
from ktse.nets.published_localizer import published_name
from ktse.nets.resnet38d import ResNet38d
from ktse.nets.resnet38d_weights import load_imagenet_resnet38d, load_resnet38d
from reference.imagenet_names_oracle import network_name

VECTORS = Path(__file__).parents[1] / "reference" / "vectors"
WIDTH = 1 / 32
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def arrays() -> Iterator[Arrays]:
    with np.load(VECTORS / "resnet38_width_1_32.npz", allow_pickle=False) as file:
        yield dict(file)


def assert_holds(trunk: ResNet38d, arrays: Arrays) -> None:
    """Every array of the file lies where the rule of REFERENCE 1.5 says, and every entry of the trunk has one."""
    filled = set()
    for name, array in arrays.items():
        if (ours := network_name(name)) is not None:
            torch.testing.assert_close(trunk.state_dict()[ours], torch.from_numpy(array), rtol=0, atol=0)
            filled.add(ours)
    assert len(filled) == 191
    assert filled == {name for name in trunk.state_dict() if not name.endswith("num_batches_tracked")}


def test_arrays_of_the_imagenet_file(arrays: Arrays) -> None:
    trunk = ResNet38d(WIDTH)
    load_imagenet_resnet38d(trunk, arrays)
    assert_holds(trunk, arrays)


def test_arrays_without_arg_and_aux(arrays: Arrays) -> None:
    trunk = ResNet38d(WIDTH)
    load_imagenet_resnet38d(trunk, {name.partition(":")[2]: array for name, array in arrays.items()})
    assert_holds(trunk, arrays)


@pytest.mark.parametrize("name", ["resnet38_width_1_32.params", "resnet38_width_1_32_legacy.params"])
def test_imagenet_file(arrays: Arrays, name: str) -> None:
    trunk = ResNet38d(WIDTH)
    load_resnet38d(trunk, VECTORS / name)
    assert_holds(trunk, arrays)


def test_checkpoint_of_a_whole_localizer(tmp_path: Path) -> None:
    """Of a released checkpoint the trunk is taken; its head is left out."""
    net = build_localizer("resnet38d", num_classes=3, width=1 / 64)
    state = {
        f"module.{published_name(name)}": torch.rand_like(t) if t.ndim else t for name, t in net.state_dict().items()
    }
    torch.save(state, tmp_path / "net.pth")
    trunk = ResNet38d(1 / 64)
    load_resnet38d(trunk, tmp_path / "net.pth")
    for name, tensor in trunk.state_dict().items():
        assert torch.equal(tensor, state[f"module.{name}"]), name


def test_what_is_missing_or_unknown_is_named_as_in_the_file(arrays: Arrays) -> None:
    changed = {name: array for name, array in arrays.items() if name != "aux:bn4b3_branch2a_moving_var"}
    changed["arg:res9a_branch1_weight"] = np.zeros(1, np.float32)
    with pytest.raises(
        WeightsError, match=r"missing \(bn4b3_branch2a_moving_var\); 1 unknown \(res9a_branch1_weight\)"
    ):
        load_imagenet_resnet38d(ResNet38d(WIDTH), changed)


def test_another_width_is_refused(arrays: Arrays) -> None:
    with pytest.raises(WeightsError, match=r"conv1a_weight: \(2, 3, 3, 3\) instead of \(4, 3, 3, 3\)"):
        load_imagenet_resnet38d(ResNet38d(1 / 16), arrays)
