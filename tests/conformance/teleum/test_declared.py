"""The commands as they are declared, held against the document both ways: none is missing, and none is invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rating_engine.api.teleum.commands import COMMANDS, Parameter
from rating_engine.api.teleum.surface import HANDLERS

DOCUMENT: list[dict[str, Any]] = json.loads(Path(__file__).with_name("document.json").read_text("utf-8"))
OF_ALL = ("cmd", "token", "vivaid")
# What the document lists by slip: decisions 7 and 22 of docs/teleum.md.
SLIPS = {"getSIPs": {"id"}, "getForwardsRCIDs": {"number"}}
KINDS = {"string": "string", "integer": "integer", "0|1": "flag"}


def as_printed(parameter: Parameter) -> dict[str, Any]:
    """A parameter in the words of the document's data."""
    said: dict[str, Any] = {"name": parameter.name, "kind": parameter.kind, "required": parameter.required}
    if parameter.default is not None:
        said["default"] = parameter.default
    if parameter.kind == "string" and parameter.one_of:
        said["values"] = list(parameter.one_of)
    return said


def documented(parameter: dict[str, Any]) -> dict[str, Any]:
    said = {"name": parameter["name"], "kind": KINDS[parameter["type"]], "required": bool(parameter["required"])}
    if parameter.get("default") is not None:
        said["default"] = str(parameter["default"])
    if "enum" in parameter and parameter["type"] == "string":
        said["values"] = parameter["enum"]
    return said


def test_all_24_commands_have_the_parameters_of_the_document_and_none_beside():
    declared = {name: [as_printed(each) for each in command.parameters] for name, command in COMMANDS.items()}
    printed = {
        entry["cmd"]: [documented(each) for each in entry["parameters"] if each["name"] not in OF_ALL]
        for entry in DOCUMENT
    }

    assert len(declared) == 24
    assert declared == printed


def test_answers_have_the_fields_of_the_document_and_none_beside():
    for entry in DOCUMENT:
        command = COMMANDS[entry["cmd"]]
        fields = {each["name"] for each in entry["reply"]} - SLIPS.get(entry["cmd"], set())
        assert set(command.reply) == fields, entry["cmd"]
        assert {name: list(items) for name, items in command.arrays.items()} == entry["arrays"]


def test_bounds_are_those_of_the_document():
    (timeout,) = [each for each in COMMANDS["editForward"].parameters if each.name == "timeout"]
    assert (timeout.least, timeout.most) == (5, 30)
    for entry in DOCUMENT:
        for parameter in entry["parameters"]:
            if "maximum" in parameter:
                (own,) = [each for each in COMMANDS[entry["cmd"]].parameters if each.name == parameter["name"]]
                assert own.most == parameter["maximum"]


def test_every_command_but_login_has_a_handler():
    assert HANDLERS.keys() | {"login"} == COMMANDS.keys()
