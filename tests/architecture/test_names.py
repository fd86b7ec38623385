"""What a test or a module says of other modules is true: a name that looks like one of ours is one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import PACKAGES, PROJECT, python_files

TOPS = ("services", "storage", "rating_engine", "agi", "telemetry", "importers")
DOTTED = re.compile(rf"(?<![\w./-])(?:{'|'.join(TOPS)})(?:\.[a-z_]+)+(?![\w(])")
FILE_ENDINGS = {"md", "py", "toml", "json", "sql", "log"}


def names_of_modules() -> set[str]:
    """Every module and package, by its full name and by what follows `rating_engine.`."""
    found = set()
    for file in python_files(*PACKAGES):
        parts = file.relative_to(PROJECT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found |= {name, name.removeprefix("rating_engine.")}
    return found


def docstrings(tree: ast.AST) -> Iterator[str]:
    """Those of the module, its classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("folder", [*PACKAGES, "tests", "benchmarks"])
def test_a_module_that_a_docstring_names_is_there(folder: str) -> None:
    modules = names_of_modules()
    missing = [
        f"{file.relative_to(PROJECT)}: {name}"
        for file in python_files(folder)
        for docstring in docstrings(ast.parse(file.read_text(encoding="utf-8")))
        for name in DOTTED.findall(docstring)
        # of a module, or of what is in one
        if name.rsplit(".", 1)[1] not in FILE_ENDINGS and not {name, name.rsplit(".", 1)[0]} & modules
    ]

    assert missing == []
