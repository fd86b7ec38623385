"""Every command explains itself, with an example that is itself right."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from rating_engine.cli.app import app

ROOT = typer.main.get_command(app)


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name. Told by shape: typer may bring its own click."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


ALL = dict(commands(ROOT))


def test_every_command_of_the_issue_is_there():
    expected = {"serve", "migrate", "rates import", "rate", "doctor", "call", "demo"}
    expected |= {f"account {what}" for what in ("create", "show", "topup", "statement")}
    assert expected <= ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_a_command_says_what_it_does_and_shows_an_example_that_it_takes(name):
    command = ALL[name]
    assert command.help
    words = shlex.split((command.epilog or "").removeprefix("Example: "))
    while words and "=" in words[0]:
        words.pop(0)  # a setting in the environment

    assert words[: 1 + len(name.split())] == ["rating-engine", *name.split()]
    command.make_context(name, words[1 + len(name.split()) :])  # UsageError for what it would not take


@pytest.mark.parametrize("name", ALL)
def test_every_option_of_a_command_is_explained(name):
    options = [parameter for parameter in ALL[name].params if parameter.param_type_name == "option"]
    assert [option.name for option in options if not option.help] == []
