"""The public names of `ktse`: all there, each from its home, none loaded before it is asked for."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import ktse

PROMISED = {
    "COCO14", "Folder", "KtseError", "Recipe", "Shapes", "VOC12", "evaluate", "export_onnx", "load", "load_recipe",
    "localize", "predict", "refine", "train_localizer", "train_segmenter", "write_report",
}  # fmt: skip


def test_all_lists_the_promised_names() -> None:
    assert set(ktse.__all__) == PROMISED
    assert set(dir(ktse)) >= PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_name_resolves_to_the_object_of_its_home(name: str) -> None:
    value = getattr(ktse, name)
    assert callable(value)
    assert value.__name__ == name
    home = importlib.import_module(value.__module__)
    assert getattr(home, name) is value
    assert value.__doc__


def test_type_checkers_see_the_same_names_as_the_interpreter() -> None:
    tree = ast.parse(Path(ktse.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == ktse._HOMES


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'locolize'"):
        _ = ktse.locolize


HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "scipy",
    "cv2",
    "matplotlib",
    "pycocotools",
    "lightning_fabric",
    "PIL",
    "jinja2",
}


@pytest.mark.parametrize("arguments", [None, [], ["--help"], ["run", "--help"], ["recipes"]], ids=str)
def test_light_use_imports_no_heavy_library(arguments: list[str] | None) -> None:
    use = "import ktse"
    if arguments is not None:
        use = f"from ktse.cli.main import app; app({arguments!r}, standalone_mode=False)"
    script = f"import sys; {use}; print('LOADED', *sorted(set(sys.modules) & {HEAVY!r}))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "LOADED"
