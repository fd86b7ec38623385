"""What nothing uses is not there: every function, class and constant of the product is named somewhere else in it.

Names are compared as words, so a name that stands twice is not found: a cheap net, not a proof.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source_tree import PACKAGES, PROJECT, FunctionNode, python_files

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Called by nobody in the product, with the reason; what a library calls (a decorator, an override) is not looked at.
KEPT = {
    "authenticate": "how surfaces learn who asks with a key; the APIs stand on it",
    "by_password": "how surfaces learn who asks; the pages and APIs that let people in stand on it",
    "by_session": "how surfaces learn who asks that was let in before",
    "end_session": "how surfaces let somebody out",
    "NoOutage": "the port of charging without one: for tests and simulations",
    "feed_eof": "the parser's word for a peer that left, which the connection knows by itself",
    "ledger_balanced": "the money laws alone, for tests and benchmarks",
    "redacted": "settings as they may be shown",
    "unattended": "connections whose peer has gone, for tests that wait for that",
}


def names(file: Path) -> Iterator[tuple[str, int]]:
    """Functions, classes and constants of a module, and methods of classes without a base, by name and line."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, node.lineno) for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, FunctionNode | ast.ClassDef) and not node.decorator_list:
            yield node.name, node.lineno
        if isinstance(node, ast.ClassDef) and not node.bases:
            methods = [each for each in node.body if isinstance(each, FunctionNode) and not each.decorator_list]
            yield from ((each.name, each.lineno) for each in methods if not each.name.startswith("__"))


def test_nothing_is_there_that_nothing_uses() -> None:
    files = python_files(*PACKAGES)
    words = Counter(word for file in files for word in WORD.findall(file.read_text(encoding="utf-8")))
    places: dict[str, list[str]] = {}
    for file in files:
        for name, line in names(file):
            places.setdefault(name, []).append(f"{file.relative_to(PROJECT)}:{line} {name}")

    unused = [
        place
        for name, found in places.items()
        if words[name] == len(found) and name not in KEPT and not name.startswith("__")
        for place in found
    ]

    assert unused == []


def test_what_is_kept_for_a_reason_is_there() -> None:
    there = {name for file in python_files(*PACKAGES) for name in WORD.findall(file.read_text(encoding="utf-8"))}

    assert sorted(KEPT.keys() - there) == []
