"""A pipeline for tests of the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a pipeline in place that only notes what it is asked for."""
    calls: list[dict[str, Any]] = []

    def run_recipe(recipe: Any, **wishes: Any) -> list[Any]:
        calls.append({"recipe": recipe, **wishes})
        return []

    def demo(out: Path, *, quick: bool) -> list[Any]:
        calls.append({"out": out, "quick": quick})
        return []

    monkeypatch.setitem(sys.modules, "ktse.pipeline", SimpleNamespace(run_recipe=run_recipe, demo=demo))
    return calls
