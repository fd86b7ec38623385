"""Words that belong to one surface stay there: below the command line nobody tells a user what to type."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.architecture.source_tree import PROJECT, python_files
from tests.support.command_lines import COMMANDS

BELOW = (
    "rating_engine/api", "rating_engine/domain", "rating_engine/rating", "rating_engine/services",
    "rating_engine/storage", "agi",
)  # fmt: skip
_NAMES = sorted({name.split()[0] for name in COMMANDS})
A_COMMAND = re.compile(rf"\brating-engine ({'|'.join(map(re.escape, _NAMES))})\b")


def told(file: Path) -> list[tuple[int, str]]:
    """The texts of a module with their lines; names of connections are no texts for people."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {
        id(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "application_name"
    }
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [(node.lineno, node.value) for node in texts if id(node) not in names]


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file.relative_to(PROJECT)}:{line}: {text}"
        for file in python_files(*BELOW)
        for line, text in told(file)
        if pattern.search(text)
    ]


def test_below_the_command_line_nobody_says_a_command():
    assert places(A_COMMAND) == []


def test_the_pattern_finds_a_command():
    assert A_COMMAND.search("say first: rating-engine exchange set EUR USD RATE")
    assert not A_COMMAND.search("rating-engine office")
