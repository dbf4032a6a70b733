"""The segmenter as an ONNX graph, for programs without PyTorch."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ktse.artifacts import write_bytes_atomic
from ktse.errors import InputError, MissingExtraError
from ktse.export.same_padding import fix_same_borders, mark_same_borders
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.segmentation.segmenter import Segmenter
from ktse.types import SegmenterOutput

if TYPE_CHECKING:
    from onnx import ModelProto

SMALLEST_SIDE = 16
"""Height and width, in px, from which on the graph is promised to work."""


class LogitsOnly(nn.Module):
    """A segmenter whose output is a plain tensor, which is all that a graph can give. Only for export.

    Args:
        network: Images to `SegmenterOutput`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, L, H, W) of normalised images (B, 3, H, W)."""
        output: SegmenterOutput = self.network(images)
        return output.logits


def export_onnx(
    model: Segmenter | DeepLab | DeepLabPair, path: Path | str, *, image_size: tuple[int, int] = (320, 256)
) -> None:
    """Write a segmenter as ONNX with input `images` and output `logits`, for any batch and image size.

    Images are (B, 3, H, W) float32, normalised; logits (B, L, H, W), whose argmax is the label map. The names of the
    classes and the mean and deviation of the normalisation are kept in the metadata of the file, as JSON.

    Args:
        model: A trained segmenter, of one network or of a pair; as a bare network it has no metadata. It is left as
            it is.
        path: File to write (.onnx), atomically.
        image_size: (H, W) of the image that the graph is drawn from; others work as well.

    Raises:
        InputError: `model` is no segmenter.
        MissingExtraError: The packages of `ktse[onnx]` are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 (what torch writes graphs with)
    except ImportError as error:
        raise MissingExtraError("ONNX export", extra="onnx") from error
    network = model.network if isinstance(model, Segmenter) else model
    if not isinstance(network, DeepLab | DeepLabPair):
        raise InputError(f"cannot export a {type(model).__name__}.", remedy="Give what ktse.load(RUN) returns.")
    graph = _graph(network, image_size)
    if isinstance(model, Segmenter):
        data = model.recipe.data
        facts = {"classes": model.classes.names, "mean": data.mean, "std": data.std}
        onnx.helper.set_model_props(graph, {name: json.dumps(value) for name, value in facts.items()})
    write_bytes_atomic(Path(path), graph.SerializeToString())


def _graph(network: nn.Module, image_size: tuple[int, int]) -> ModelProto:
    """Draw the graph of a network from an example, with batch, height and width left open."""
    plain = LogitsOnly(copy.deepcopy(network)).cpu().eval()
    same = fix_same_borders(plain)
    example = torch.zeros(2, 3, *image_size)  # two images: a batch of one would be taken for a constant
    program: Any = torch.onnx.export(
        plain,
        (example,),
        dynamo=True,
        verbose=False,
        optimize=False,  # later: what is merged loses its name
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes={
            "images": {
                0: torch.export.Dim("batch", min=1),
                2: torch.export.Dim("height", min=SMALLEST_SIDE),
                3: torch.export.Dim("width", min=SMALLEST_SIDE),
            }
        },
    )
    mark_same_borders(program.model, same)
    program.optimize()
    graph: ModelProto = program.model_proto
    return graph
