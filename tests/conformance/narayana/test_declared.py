"""The methods as they are declared, held against the document both ways: none is missing, and none is invented."""

from __future__ import annotations

import json
from pathlib import Path

from rating_engine.api.narayana.declare import Argument
from rating_engine.api.narayana.declared import METHODS, SECTIONS
from rating_engine.api.narayana.errors import CODE_OF_DECLINE, CODE_OF_REFUSAL, STATUS_OF_REFUSAL, Code
from rating_engine.api.narayana.methods import MADE
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.refusal import Refusal

DOCUMENT = json.loads(Path(__file__).with_name("document.json").read_text("utf-8"))


def as_printed(argument: Argument) -> dict[str, object]:
    """An argument in the words of the document's data; what is not said there is left out."""
    said = {
        "name": argument.name,
        "type": argument.kind.value,
        "required": argument.required,
        "values": list(argument.values),
        "also": list(argument.also),
    }
    printed = {name: value for name, value in said.items() if value not in (False, [])}
    return printed if argument.default is None else {**printed, "default": argument.default}


def test_all_149_entries_are_declared_as_the_document_has_them_and_none_beside():
    declared = [
        {
            "method": entry.name,
            "level": entry.level,
            "section": section,
            "arguments": [as_printed(argument) for argument in entry.arguments],
        }
        for section, entries in SECTIONS.items()
        for entry in entries
    ]

    assert len(declared) == 149
    assert declared == DOCUMENT["methods"]


def test_every_code_of_the_document_is_known_and_none_beside():
    assert [code.value for code in Code] == DOCUMENT["errors"]


def test_every_method_of_the_document_is_made():
    assert MADE.keys() == METHODS.keys()


def test_every_refusal_and_every_reason_of_a_decline_has_its_word():
    assert CODE_OF_REFUSAL.keys() | STATUS_OF_REFUSAL.keys() == set(Refusal)
    assert CODE_OF_DECLINE.keys() == set(DeclineReason)


def test_an_entry_that_stands_twice_takes_the_arguments_of_both():
    names = {argument.name for argument in METHODS["updateUser"].arguments}

    assert {"user", "rates", "web_password", "comment"} <= names
