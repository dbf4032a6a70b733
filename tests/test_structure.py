"""Rules about the tree itself: small files and functions, tests that mirror the sources, names that say something."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ktse"
TESTS = ROOT / "tests"
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "tools", "stuff"}
FREE_TESTS = {"reference", "integration", "browser"}
"""Folders of tests that stand for no folder of the package."""
ABOUT_THE_WHOLE = {"test_structure.py", "test_public_api.py", "test_docs.py", "test_examples.py"}
DECLARATIONS = {"__init__", "__main__", "types", "errors"}
"""Modules that only declare; what they declare is tested where it is used."""

SOURCES = sorted(PACKAGE.rglob("*.py"))
TEST_FILES = sorted(TESTS.rglob("test_*.py"))
ALL_FILES = [*SOURCES, *sorted(TESTS.rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without those of its docstring: an explanation makes nothing longer."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    explained = ast.get_docstring(function) is not None
    return lines - ((first.end_lineno or 0) - first.lineno + 1 if explained else 0)


def belong_together(subject: str, module: str) -> bool:
    """A test is about a module if they have one name, or one name continues the other: shapes, shapes_scenes."""
    return subject == module or subject.startswith(f"{module}_") or module.startswith(f"{subject}_")


def test_something_is_looked_at() -> None:
    assert len(SOURCES) > 50
    assert len(TEST_FILES) > 30


def test_files_are_short() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in ALL_FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{name_of(path)}::{function.name}": length_of(function)
        for path in ALL_FILES
        for function in functions_of(path)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_names_say_something() -> None:
    paths = [*SOURCES, *TEST_FILES]
    assert [name_of(path) for path in paths if set(path.relative_to(ROOT).with_suffix("").parts) & EMPTY_NAMES] == []


def test_every_module_says_what_it_is() -> None:
    assert [name_of(path) for path in SOURCES if not ast.get_docstring(tree_of(path))] == []


def test_only_the_command_line_prints() -> None:
    calls = [
        (name_of(path), node.lineno)
        for path in SOURCES
        if not path.is_relative_to(PACKAGE / "cli")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_every_test_file_is_about_a_source_file() -> None:
    """tests/a/test_b.py is about src/ktse/a/b.py; tests/a/test_a.py is about the package a as a whole."""
    strays = []
    for path in TEST_FILES:
        folder = path.parent.relative_to(TESTS)
        if path.name in ABOUT_THE_WHOLE or (folder.parts and folder.parts[0] in FREE_TESTS):
            continue
        modules = {source.stem for source in (PACKAGE / folder).glob("*.py")} | {folder.name}
        subject = path.stem.removeprefix("test_")
        if not any(belong_together(subject, module) for module in modules):
            strays.append(name_of(path))
    assert strays == []


def test_every_source_file_has_tests() -> None:
    untested = []
    for path in SOURCES:
        folder = TESTS / path.parent.relative_to(PACKAGE)
        folders = [folder, TESTS / "integration"] if path.parent == PACKAGE else [folder]
        subjects = {test.stem.removeprefix("test_") for place in folders for test in place.glob("test_*.py")}
        if path.stem in DECLARATIONS or folder.name in subjects:
            continue
        if not any(belong_together(subject, path.stem) for subject in subjects):
            untested.append(name_of(path))
    assert untested == []


def test_tests_are_no_packages() -> None:
    assert [name_of(path) for path in TESTS.rglob("__init__.py")] == []
