"""Every command explains itself, with an example that is itself right."""

from __future__ import annotations

import pytest

from tests.support.command_lines import COMMANDS, command_of


def test_every_command_of_the_issue_is_there():
    expected = {"serve", "migrate", "rates import", "rate", "doctor", "call", "demo"}
    expected |= {f"account {what}" for what in ("create", "show", "topup", "statement")}
    assert expected <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does_and_shows_an_example_that_it_takes(name):
    command = COMMANDS[name]

    assert command.help
    assert command_of((command.epilog or "").removeprefix("Example: ")) == name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained(name):
    options = [parameter for parameter in COMMANDS[name].params if parameter.param_type_name == "option"]
    assert [option.name for option in options if not option.help] == []
