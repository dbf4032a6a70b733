"""From image tags to segmentation masks.

Names are loaded when they are first used, so that `import ktse` and `ktse --help` do not wait for torch.

Example:
    >>> import ktse
    >>> recipe = ktse.load_recipe("demo/quick")
    >>> recipe.data.kind
    'shapes'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ktse.config import Recipe
    from ktse.data.coco import COCO14
    from ktse.data.folder import Folder
    from ktse.data.shapes import Shapes
    from ktse.data.voc import VOC12
    from ktse.errors import KtseError
    from ktse.evaluation.run import evaluate
    from ktse.export.bundle import load
    from ktse.export.onnx import export_onnx
    from ktse.localization.infer import localize
    from ktse.localization.train import train_localizer
    from ktse.recipes import load_recipe
    from ktse.refinement.run import refine
    from ktse.report.page import write_report
    from ktse.segmentation.predict import predict
    from ktse.segmentation.train import train_segmenter

__version__ = "0.1.0"

__all__ = [
    "COCO14",
    "VOC12",
    "Folder",
    "KtseError",
    "Recipe",
    "Shapes",
    "evaluate",
    "export_onnx",
    "load",
    "load_recipe",
    "localize",
    "predict",
    "refine",
    "train_localizer",
    "train_segmenter",
    "write_report",
]

_HOMES = {
    "COCO14": "ktse.data.coco",
    "VOC12": "ktse.data.voc",
    "Folder": "ktse.data.folder",
    "KtseError": "ktse.errors",
    "Recipe": "ktse.config",
    "Shapes": "ktse.data.shapes",
    "evaluate": "ktse.evaluation.run",
    "export_onnx": "ktse.export.onnx",
    "load": "ktse.export.bundle",
    "load_recipe": "ktse.recipes",
    "localize": "ktse.localization.infer",
    "predict": "ktse.segmentation.predict",
    "refine": "ktse.refinement.run",
    "train_localizer": "ktse.localization.train",
    "train_segmenter": "ktse.segmentation.train",
    "write_report": "ktse.report.page",
}
"""The module that each public name lives in."""


def __getattr__(name: str) -> object:
    """Import the home of a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ktse' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
