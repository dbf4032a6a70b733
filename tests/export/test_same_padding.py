from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from ktse.errors import KtseError
from ktse.export.onnx import export_onnx
from ktse.export.same_padding import fix_same_borders, mark_same_borders
from ktse.nets.deeplab import DeepLab, SummedPyramid
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.nets.trunk import Trunk


class SameTrunk(Trunk):
    """Two convolutions of TensorFlow's kind, as tf_efficientnet has them: one with normalisation, one in groups."""

    channels = 6
    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv2dSame(3, 4, 3, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.deep = Conv2dSame(4, 6, 5, stride=2, groups=2)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.deep(torch.relu(self.bn(self.stem(images))))
        return features


@pytest.mark.parametrize("side", range(1, 12))
def test_symmetric_border_gives_the_same_size_and_the_parameters_stay(side: int) -> None:
    for kernel, stride in ((3, 2), ((5, 3), 3), (1, 2)):
        net = nn.Sequential(Conv2dSame(2, 2, kernel, stride=stride))
        parameters, size = list(net.parameters()), net(torch.zeros(1, 2, side, 9)).shape
        assert fix_same_borders(net) == ["0"]
        assert type(net[0]) is nn.Conv2d
        assert net(torch.zeros(1, 2, side, 9)).shape == size
        assert list(map(id, net.parameters())) == list(map(id, parameters))


def test_other_layers_are_left_alone() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3), Conv2dSame(1, 1, 2, stride=2), Conv2dSame(1, 1, 3, stride=2, dilation=2))
    before = list(net)
    assert fix_same_borders(net) == []
    assert list(net) == before


def test_graph_has_the_border_of_timm_at_even_and_odd_sizes(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = DeepLab(SameTrunk(), SummedPyramid(6, 3, (1, 2))).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    export_onnx(network, tmp_path / "same.onnx", image_size=(36, 48))
    assert isinstance(network.trunk.stem, Conv2dSame)
    session = runtime.InferenceSession(tmp_path / "same.onnx", providers=["CPUExecutionProvider"])
    for height, width in ((36, 48), (37, 50), (34, 47), (35, 49)):
        images = torch.randn(1, 3, height, width)
        with torch.inference_mode():
            expected = network(images).logits.numpy()
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_pair_of_equal_trunks_can_be_exported_too(tmp_path: Path) -> None:
    """What is equal in both is merged in the graph, but only after the borders are set."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    networks = [DeepLab(SameTrunk(), SummedPyramid(6, 3, (1,))) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    export_onnx(DeepLabPair(*networks), tmp_path / "pair.onnx", image_size=(36, 48))
    convolutions = [node for node in onnx.load(tmp_path / "pair.onnx").graph.node if node.op_type == "Conv"]
    borders = [{entry.name: entry.s for entry in node.attribute}.get("auto_pad") for node in convolutions]
    assert borders.count(b"SAME_UPPER") in (2, 4)
    assert len(borders) > borders.count(b"SAME_UPPER")


def test_a_convolution_that_cannot_be_found_is_an_error() -> None:
    onnx, onnxscript = pytest.importorskip("onnx"), pytest.importorskip("onnxscript")
    nodes: list[Any] = [
        onnx.helper.make_node("Conv", ["x", name], [f"y{place}"], pads=[1, 1, 1, 1])
        for place, name in enumerate(("a.weight", "b.weight", "b.weight"))
    ]
    graph = onnxscript.ir.from_proto(onnx.helper.make_model(onnx.helper.make_graph(nodes, "net", [], [])))
    mark_same_borders(graph, ["a"])
    first, *others = graph.graph
    assert {name: entry.value for name, entry in first.attributes.items()} == {"auto_pad": "SAME_UPPER"}
    assert all(list(node.attributes) == ["pads"] for node in others)
    for name, count in (("c", 0), ("b", 2)):
        with pytest.raises(KtseError, match=f"the graph has {count} convolutions with the weights of '{name}'"):
            mark_same_borders(graph, [name])
