"""Whether a command line, as help and documents show it, is one that `rating-engine` takes. Nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer.main

from rating_engine.cli.app import app

_SETTING = re.compile(r"[A-Z_]+=\S*")


def _commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name. Told by shape: typer may bring its own click."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _commands(command, *path, name)
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield " ".join((*path, name)), command


COMMANDS = dict(_commands(typer.main.get_command(app)))


def command_of(line: str) -> str:
    """The full name of the command that `line` runs, settings before it and a redirection behind it allowed.

    AssertionError where there is no such command; click's UsageError where it would not take its arguments.
    """
    words = shlex.split(line, comments=True)
    if ">" in words:
        words = words[: words.index(">")]
    while words and _SETTING.fullmatch(words[0]):
        words.pop(0)
    assert words.pop(0) == "rating-engine", line
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), None)
    assert name is not None, f"no such command: {line}"
    COMMANDS[name].make_context(name, words[len(name.split()) :])
    return name
