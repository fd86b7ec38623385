"""The surface is the document: no path, parameter, field, value or limit more or less, but for what was decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rating_engine.api.tenant.beyond import ALL_OPERATIONS, BEYOND
from rating_engine.api.tenant.contract import LIST, OPERATIONS, SCHEMAS, document
from rating_engine.api.tenant.routes import HANDLERS

DOCUMENT: dict[str, Any] = json.loads(Path(__file__).with_name("document.json").read_text(encoding="utf-8"))
OURS = document(OPERATIONS, SCHEMAS)
# Beside the document: what an answer to a creation is, a file, and the one form of errors.
OWN_SCHEMAS = {"CallRateId", "File", "Problem"}
# Decided where the document is silent: no amount and no second below 0, int32 and what a column holds say the most.
DECIDED = {"minimum": {0}, "maximum": {2**31 - 1, 9999999999.99999}}


def paths(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, method) for path, methods in found["paths"].items() for method in methods}


def test_the_paths_are_those_of_the_document_and_each_is_served():
    assert paths(OURS) == paths(DOCUMENT)
    assert len(OPERATIONS) == DOCUMENT["endpoints"]
    assert HANDLERS.keys() == {operation.name for operation in ALL_OPERATIONS}
    assert not paths(document(BEYOND, {})) & paths(OURS)


@pytest.mark.parametrize(("path", "method"), sorted(paths(DOCUMENT)))
def test_an_operation_takes_and_answers_what_the_document_says(path: str, method: str):
    ours, theirs = OURS["paths"][path][method], DOCUMENT["paths"][path][method]

    assert ours["summary"] == theirs["title"]
    (status,) = theirs["responses"]
    assert [code for code in ours["responses"] if code.startswith("2")] == [status]
    content = theirs["responses"][status].get("content")
    assert list(ours["responses"][status].get("content", {})) == ([content] if content else [])
    assert {each["name"] for each in ours.get("parameters", ())} == {
        each["name"] for each in theirs.get("parameters", ())
    }
    body = theirs.get("requestBody")
    assert ("requestBody" in ours) == (body is not None)
    if body is not None:
        assert ours["requestBody"]["content"][body["content"]]["schema"]["$ref"].endswith(f"/{body['schema']}")


def test_the_schemas_have_the_fields_of_the_document():
    theirs = DOCUMENT["components"]["schemas"]

    assert SCHEMAS.keys() == theirs.keys() | OWN_SCHEMAS
    for name, schema in theirs.items():
        assert SCHEMAS[name]["properties"].keys() == schema["properties"].keys()
        assert SCHEMAS[name].get("required", []) == schema.get("required", [])


@pytest.mark.parametrize("name", ["CallRate", "CallRateCreate", "CallRateUpdate", "TenantBilling"])
def test_a_field_has_the_limits_of_the_document(name: str):
    for field, said in DOCUMENT["components"]["schemas"][name]["properties"].items():
        ours = SCHEMAS[name]["properties"][field]
        for word in ("type", "format", "enum", "default", "minLength", "maxLength"):
            assert ours.get(word) == said.get(word), (field, word)
        for word, decided in DECIDED.items():
            assert ours.get(word) == said.get(word) or (word not in said and ours.get(word) in decided), (field, word)


def test_the_parameters_of_the_list_are_those_of_the_document():
    said = {each["name"]: each["schema"] for each in DOCUMENT["paths"]["/api/call_rates"]["get"]["parameters"]}

    assert {each.name: (each.default, each.kind.value) for each in LIST} == {
        name: (schema.get("default"), schema["type"]) for name, schema in said.items()
    }
    top = next(each for each in LIST if each.name == "top")
    assert (top.least, top.most) == (said["top"]["minimum"], said["top"]["maximum"])
