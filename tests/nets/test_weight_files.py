from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ktse.errors import WeightsError
from ktse.nets.weight_files import read_checkpoint, read_weights, tensors_within

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1, 2])}


def assert_same(read: dict[str, torch.Tensor]) -> None:
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        torch.testing.assert_close(read[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize(
    "content",
    [TENSORS, {"state_dict": TENSORS, "epoch": 3}, {"model": TENSORS, "optimizer": [1, 2]}],
    ids=["plain", "state_dict", "model"],
)
@pytest.mark.parametrize("ending", [".pth", ".pt"])
def test_torch_files(tmp_path: Path, content: object, ending: str) -> None:
    path = tmp_path / f"net{ending}"
    torch.save(content, path)
    assert_same(read_weights(path))


def test_safetensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "net.safetensors")
    assert_same(read_weights(str(tmp_path / "net.safetensors")))


def test_mxnet(tmp_path: Path) -> None:
    path = tmp_path / "net.params"
    path.write_bytes(struct.pack("<QQQIIiiifQQ4s", 0x112, 0, 1, 1, 1, 1, 0, 0, 0.5, 1, 4, b"bias"))
    assert read_weights(path) == {"bias": torch.tensor([0.5])}


class Malicious:
    """Unpickled carelessly, it makes a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.victim,))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    path, victim = tmp_path / "net.pth", tmp_path / "victim"
    torch.save({"a": torch.ones(1), "b": Malicious(victim)}, path)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(path)
    assert not victim.exists()


@pytest.mark.parametrize(
    "content",
    [[torch.ones(1)], {"a": torch.ones(1), "epoch": 3}, {"state_dict": {"a": 1}}, torch.ones(1)],
    ids=["list", "number beside", "no tensors", "one tensor"],
)
def test_other_content_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="does not hold tensors by name"):
        read_weights(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.eye(3).to_sparse(), "sparse_coo"),
        (torch.zeros(10**6, 10**6, device="meta"), "empty"),
    ],
    ids=["sparse", "without numbers"],
)
@pytest.mark.filterwarnings("ignore:.*sparse tensor invariants:UserWarning")
@pytest.mark.parametrize("read", [read_weights, read_checkpoint])
def test_tensors_that_are_no_rows_of_numbers_are_refused(
    tmp_path: Path, read: Callable[[Path], object], tensor: torch.Tensor, kind: str
) -> None:
    torch.save({"state_dict": {"a": torch.ones(1), "b": tensor}}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=rf"net\.pth' with shape .* is .*{kind}, expected plain numbers"):
        read(tmp_path / "net.pth")


def test_tensors_are_found_at_any_depth_once_for_each_name() -> None:
    inner: dict[str, object] = {"a": torch.tensor(1), "epoch": 3}
    inner["again"] = inner
    outer = {"b": torch.tensor(2), "c": [torch.tensor(4)], **{str(number): inner for number in range(9)}}
    assert sorted(tensor.item() for tensor in tensors_within(outer)) == [1, 2]


def test_a_checkpoint_is_read_as_it_is(tmp_path: Path) -> None:
    torch.save({"net_state_dict": {"network1": TENSORS, "network2": {}}, "epoch": 3}, tmp_path / "best.pth")
    content = read_checkpoint(tmp_path / "best.pth")
    assert_same(content["net_state_dict"]["network1"])
    assert content["net_state_dict"]["network2"] == {}
    assert content["epoch"] == 3


def test_a_checkpoint_runs_no_code_and_holds_names(tmp_path: Path) -> None:
    path, victim = tmp_path / "net.pth", tmp_path / "victim"
    torch.save({"net_state_dict": Malicious(victim)}, path)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_checkpoint(path)
    assert not victim.exists()
    torch.save([torch.ones(1)], path)
    with pytest.raises(WeightsError, match="holds a list, nothing by name"):
        read_checkpoint(path)


def test_numbers_of_numpy_beside_the_tensors_are_harmless(tmp_path: Path) -> None:
    best = {"miou": np.float64(73.0), "epoch": np.int64(3), "loss": np.float32(0.5)}
    torch.save({"net_state_dict": {"network1": TENSORS}, **best}, tmp_path / "best.pth")
    content = read_checkpoint(tmp_path / "best.pth")
    assert_same(content["net_state_dict"]["network1"])
    assert {name: content[name] for name in best} == best


def test_an_archive_that_unpacks_to_more_than_itself_is_not_unpacked(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(100_000)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    assert read_weights(tmp_path / "plain.pth")["a"].shape == (100_000,)
    with pytest.raises(WeightsError, match="unpacks to"):
        read_weights(tmp_path / "bomb.pth")


@pytest.mark.parametrize("ending", [".pth", ".safetensors", ".params"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", bytes(100)], ids=["empty", "text", "zeros"])
def test_damaged_files(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"net{ending}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"net{ending}"):
        read_weights(path)


def test_unknown_ending(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    with pytest.raises(WeightsError, match=r"ending '.onnx'.*\.safetensors"):
        read_weights(tmp_path / "net.onnx")
