"""The project's own files, and its functions, for the tests that look at them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGES = ("rating_engine", "agi")
NOT_OURS = {".git", ".venv", ".cache"}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """A function or class with where it stands."""

    file: Path
    name: str
    node: FunctionNode | ast.ClassDef
    is_nested: bool  # inside a function

    @property
    def lines(self) -> int:
        """Lines from the `def` to its end, decorators and docstring included."""
        assert self.node.end_lineno is not None
        return self.node.end_lineno - self.node.lineno + 1

    def __str__(self) -> str:
        return f"{self.file.relative_to(PROJECT)}:{self.node.lineno} {self.name}"


@cache
def project_files() -> tuple[Path, ...]:
    """The files of the project: what git tracks; in a tree without git, all but the environment."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=PROJECT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split("\0")
        files = [PROJECT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        files = [file for file in PROJECT.rglob("*") if not NOT_OURS & set(file.relative_to(PROJECT).parts)]
    return tuple(sorted(file for file in files if file.is_file()))


def python_files(*folders: str) -> list[Path]:
    """The Python files below some folders of the project; of the whole project when none is given."""
    wanted = [PROJECT / folder for folder in folders] or [PROJECT]
    return [
        file for file in project_files() if file.suffix == ".py" and any(file.is_relative_to(top) for top in wanted)
    ]


def texts() -> Iterator[tuple[Path, str]]:
    """Every file of the project that is text, with its text."""
    for file in project_files():
        try:
            yield file, file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def definitions(file: Path) -> list[Definition]:
    """Every function and class in a file, nested ones too, by their dotted names."""
    found: list[Definition] = []

    def visit(node: ast.AST, prefix: str, nested: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FunctionNode | ast.ClassDef):
                name = f"{prefix}{child.name}"
                found.append(Definition(file, name, child, nested))
                visit(child, name + ".", nested or isinstance(child, FunctionNode))
            else:
                visit(child, prefix, nested)

    visit(ast.parse(file.read_text(encoding="utf-8")), "", False)
    return found
