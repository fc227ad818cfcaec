"""How the sources are laid out: what may lie at the top, how long files and functions are, where their tests are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.answers import ROOT

PACKAGE = ROOT / "lmmsparse"
TESTS = ROOT / "tests"

# What may lie directly under the package: what users import, the command line, and what every package may use.
TOP = {"__init__", "__main__", "arguments", "cli", "errors", "modular", "results"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 80  # without its docstring

# Tests of the whole library, and of what lies beside the package.
ACROSS = {"acceptance", "benchmarks", "scripts"}
# Tests of an aspect of a package that no module has the name of.
ASPECTS = {
    "formula/test_errors",
    "formula/test_structures",
    "inference/test_scales",
    "models/test_contents",
    "models/test_refit",
    "prediction/test_arguments",
    "prediction/test_estimable",
    "prediction/test_references",
    "prediction/test_simulating",
    "prediction/test_standard_errors",
    "report/test_summary_of_fits",
}


def sources(*patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(PACKAGE.rglob(pattern))


def test_few_modules_lie_at_the_top() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} <= TOP


def test_no_file_is_too_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources("*.py", "*.pyx", "*.pxd")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert not long, f"more than {LONGEST_FILE} lines"


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, decorators and docstring left out."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        text = function.body[0]
        assert text.end_lineno is not None
        lines -= text.end_lineno - text.lineno + 1
    return lines


def test_no_function_is_too_long() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": lines
        for path in sources("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := lines_of(node)) > LONGEST_FUNCTION
    }
    assert not long, f"more than {LONGEST_FUNCTION} lines"


@pytest.mark.parametrize(
    "name",
    [
        str(path.relative_to(TESTS).with_suffix(""))
        for path in sorted(TESTS.rglob("test_*.py"))
        if path.parent != TESTS and path.relative_to(TESTS).parts[0] not in ACROSS
    ],
)
def test_a_test_module_lies_where_its_module_does(name: str) -> None:
    """`tests/pls/core/test_dense.py` tests `lmmsparse/pls/core/dense.py`, or a package of that name."""
    folder = PACKAGE / Path(name).parent
    mirrored = folder / Path(name).name.removeprefix("test_")
    package = folder if folder.name == mirrored.name else mirrored
    there = [mirrored.with_suffix(".py"), mirrored.with_suffix(".pyx"), package / "__init__.py"]
    assert any(path.exists() for path in there) or name in ASPECTS


def test_no_aspect_has_become_a_module() -> None:
    """An exception that is no more needed goes."""
    for name in ASPECTS:
        assert (TESTS / f"{name}.py").exists()
        assert not (PACKAGE / f"{name.replace('test_', '')}.py").exists()
