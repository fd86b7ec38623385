"""What the command line says of an error: its field as a flag, and the command that mends it."""

from __future__ import annotations

import re

import pytest

from rating_engine.cli.hints import HINTS, problem_of
from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from tests.support.command_lines import command_of

ABOUT = {
    "tariff": "retail", "login": "1001", "calendar": "de", "currency_from": "EUR", "currency_to": "USD",
    "direction": "GermanyFixed", "group": "landlines", "multiplier": "1.2", "plan": "germany", "rerate_id": "7",
}  # fmt: skip


@pytest.mark.parametrize("hint", Hint)
def test_every_hint_is_a_command_that_there_is(hint):
    said = HINTS[hint].format_map(ABOUT)

    commands = re.findall(r"rating-engine [^,]*", said)
    assert commands
    for command in commands:
        command_of(command)


def test_a_field_is_named_as_its_flag():
    assert problem_of(InvalidRequest("effective_from", "is past")) == "from: is past"
    assert problem_of(InvalidRequest("max_calls", "must be 1 or more")) == "max_calls: must be 1 or more"


def test_what_mends_it_stands_behind_what_is_wrong():
    error = NotFound("no such tariff", hint=Hint.SEE_TARIFFS)

    assert problem_of(error) == "no such tariff; see: rating-engine tariff list"
