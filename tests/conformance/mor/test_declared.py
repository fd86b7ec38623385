"""The functions as they are declared, held against the document both ways: none is missing, and none is invented."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from rating_engine.api.mor.declare import EACH, Function
from rating_engine.api.mor.declared import FUNCTIONS, NAMED, SECTIONS
from rating_engine.api.mor.functions import MADE
from rating_engine.api.mor.signing import signed_texts, weak_texts

DOCUMENT = json.loads(Path(__file__).with_name("document.json").read_text("utf-8"))
PRINTED = {entry["name"]: entry for entry in DOCUMENT["functions"]}
# Names that the inconsistencies of mor.json add to those of the index.
MORE_NAMES = {
    "import_retail_tariff", "device_destroy", "user_balance_change", "registration", "phonebooks",
}  # fmt: skip
# Where the data says parameters in words: as they are read from them.
IN_WORDS = {
    "user_simple_balance_get", "user_balance_get_by_psw", "user_balance_get_by_username", "email_send",
    "tariff_retail_import", "user_details_update", "reseller_group_create",
}  # fmt: skip
# What is no text of a status, but said elsewhere in the answer.
_ELSEWHERE = re.compile(r" \((?:with|in) <.*\)$")


def test_every_section_has_its_functions_in_the_order_of_the_index():
    in_order: dict[str, list[str]] = {}
    for entry in DOCUMENT["functions"]:
        in_order.setdefault(entry["section"], []).append(entry["name"])

    assert {name: [each.name for each in entries] for name, entries in SECTIONS.items()} == in_order
    assert len(FUNCTIONS) == 73


def test_every_older_name_is_known_and_none_beside():
    older = {entry["older"] for entry in DOCUMENT["functions"] if entry["older"]}

    assert set(NAMED) - set(FUNCTIONS) == older | MORE_NAMES
    assert all(NAMED[entry["older"]].name == entry["name"] for entry in DOCUMENT["functions"] if entry["older"])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_is_as_the_document_has_it(name):
    function, printed = FUNCTIONS[name], PRINTED[name]

    assert function.source.value == printed["source"]
    if name not in IN_WORDS:
        fields = [{"name": each.name, "required": each.required} for each in function.parameters]
        assert fields == [
            {"name": each["name"], "required": bool(each["required"])}
            for each in printed["parameters"]
            if each["name"] not in "up"
        ]
    if printed["source"] == "documented":
        assert [each.default for each in function.parameters] == [each["default"] for each in printed["parameters"]]
    texts = [_ELSEWHERE.sub("", text) for text in printed["errors"] if not text.startswith("<")]
    assert list(function.errors)[: len(texts)] == texts
    assert list(function.errors)[len(texts) :] == (["Tax was not found"] if name == "cc_group_create" else [])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_hash_covers_what_the_document_says(name):
    function, printed = FUNCTIONS[name], PRINTED[name]["hashed"]
    if isinstance(printed, list) and "..." not in printed and printed != ["params"]:
        assert list(function.hashed or ()) == printed
    elif printed == "":
        assert function.hashed is None
    elif "secret alone" in printed:
        assert () in (function.hashed, *function.also_hashed)
    else:
        assert function.as_sent
        assert function.hashed == EACH


def test_what_a_hash_is_made_of_gives_the_documents_vectors():
    """The values of each vector, which ends in the secret; every one is sent, as the document's example has it."""
    for entry in [*DOCUMENT["vectors"], *(each["vector"] for each in PRINTED.values() if "vector" in each)]:
        assert hashlib.sha1(entry["input"].encode()).hexdigest() == entry["sha1"]


@pytest.mark.parametrize(
    ("name", "given", "texts"),
    [
        ("cc_group_create", {"name": "card_group_test", "description": "x"}, ("card_group_test",)),
        ("cc_group_update", {"cc_group_id": "1"}, ("1",)),
        ("calling_cards_create", {"card_group_id": "1", "cards_till": "1000000035"}, ("11000000035",)),
        ("cli_info_get", {"cli": "45"}, ("45", "")),
        ("user_details_get", {"user_id": "2", "username": "anna"}, ("2anna",)),
        ("payment_create", {"user_id": "2", "amount": "5", "p_currency": "EUR", "unknown": "9"}, ("2EUR5",)),
        ("user_calls_get", {"user_id": "123", "period_start": "1252454580", "calltype": "answered"},
         ("1231252454580answered",)),
        ("user_login", {"p": "word"}, ()),
    ],
)  # fmt: skip
def test_a_hash_is_of_values_as_they_were_sent_in_the_documents_order(name, given, texts):
    assert signed_texts(FUNCTIONS[name], given) == texts


def test_a_weaker_hash_covers_less_and_is_of_few_functions():
    assert weak_texts(FUNCTIONS["calling_card_update"], {"card_id": "1"}) == ("",)
    assert weak_texts(FUNCTIONS["did_create"], {"provider_id": "1", "did": "370"}) == ("1",)
    assert weak_texts(FUNCTIONS["payment_create"], {"user_id": "2", "amount": "5"}) == ("25",)
    assert {each.name for each in FUNCTIONS.values() if each.lenient} == {
        "calling_card_update", "did_create", "did_device_assign", "did_device_unassign",
    }  # fmt: skip


def test_each_function_is_made():
    assert MADE.keys() == FUNCTIONS.keys()


def test_what_the_hash_of_a_function_names_are_its_parameters():
    for function in FUNCTIONS.values():
        assert named_of(function) <= {each.name for each in function.parameters}, function.name


def named_of(function: Function) -> set[str]:
    forms = (function.hashed or (), *function.also_hashed, *function.lenient)
    return {name for form in forms if form != EACH for name in form}
