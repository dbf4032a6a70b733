from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.errors import InputError, MissingExtraError
from ktse.export.onnx import export_onnx
from ktse.nets.deeplab import DeepLab, build_deeplab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.nets.trunk import Trunk
from ktse.nets.vgg16_head import VggPyramid
from ktse.segmentation.segmenter import Segmenter

RECIPE = replace(Recipe(), data={"mean": (0.1, 0.2, 0.3)})
SHAPES = [(1, 48, 40), (3, 65, 97), (2, 17, 130)]
"""Images, their height and width."""


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    network = build_deeplab("demo", num_labels=4, output_stride=4, dilations=(1, 2))
    return Segmenter(network, Classes(("cat", "dog", "cow")), RECIPE)


@pytest.fixture(scope="module")
def file(segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("onnx") / "sub" / "segmenter.onnx"
    export_onnx(segmenter, path, image_size=(48, 40))
    return path


@pytest.fixture(scope="module")
def session(file: Path) -> Any:
    return pytest.importorskip("onnxruntime").InferenceSession(file, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_onnxruntime_agrees_with_torch(segmenter: Segmenter, session: Any, shape: tuple[int, int, int]) -> None:
    batch, height, width = shape
    images = torch.randn(batch, 3, height, width)
    with torch.inference_mode():
        expected = segmenter.network(images).logits.numpy()
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    assert logits.shape == (batch, 4, height, width)
    assert np.abs(logits - expected).max() <= 1e-4
    assert (logits.argmax(1) == expected.argmax(1)).mean() >= 0.999


class SmallTrunk(Trunk):
    """One convolution with normalisation: a graph is drawn from it in half the time of the demo's trunk."""

    channels = 12
    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, self.channels, 5, self.stride, padding=2)
        self.bn = nn.BatchNorm2d(self.channels)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.bn(self.stem(images)).relu()
        return features


@pytest.fixture(scope="module")
def pair() -> Segmenter:
    """A pair whose heads are those of VGG16: convolutions, ReLU, dropout."""
    torch.manual_seed(0)
    networks = [DeepLab(SmallTrunk(), VggPyramid(SmallTrunk.channels, 4, (1, 2), width=8)) for _ in range(2)]
    for network in networks:
        for parameter in network.head.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return Segmenter(DeepLabPair(*networks), Classes(("cat", "dog", "cow")), RECIPE)


def test_a_pair_gives_its_common_answer(pair: Segmenter, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    export_onnx(pair, tmp_path / "pair.onnx", image_size=(48, 40))
    session = pytest.importorskip("onnxruntime").InferenceSession(
        tmp_path / "pair.onnx", providers=["CPUExecutionProvider"]
    )
    for batch, height, width in SHAPES:
        images = torch.randn(batch, 3, height, width)
        with torch.inference_mode():
            expected = pair.network(images).logits.numpy()
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        assert np.abs(logits - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
        assert (logits.argmax(1) == expected.argmax(1)).mean() >= 0.999
        assert len(np.unique(expected.argmax(1))) > 1


def test_metadata_says_how_to_prepare_images_and_what_labels_mean(session: Any) -> None:
    facts = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert facts["classes"] == ["cat", "dog", "cow"]
    assert facts["mean"] == [0.1, 0.2, 0.3]
    assert facts["std"] == [0.229, 0.224, 0.225]


def test_the_model_is_left_as_it_was(segmenter: Segmenter, file: Path) -> None:
    del file
    assert not segmenter.network.training
    assert all(parameter.requires_grad for parameter in segmenter.network.parameters())


def test_a_missing_package_names_the_extra(
    segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def without_onnxscript(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "onnxscript":
            raise ImportError(name)
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_onnxscript)
    with pytest.raises(MissingExtraError, match=r'pip install "ktse\[onnx\]"'):
        export_onnx(segmenter, tmp_path / "x.onnx")


def test_only_segmenters_are_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    with pytest.raises(InputError, match="cannot export a Linear"):
        export_onnx(torch.nn.Linear(1, 1), tmp_path / "x.onnx")  # type: ignore[arg-type]
