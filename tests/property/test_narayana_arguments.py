"""The arguments of Narayana queries: whatever is sent, it is read by its type or refused by one of two codes."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.api.narayana.arguments import MAX_WHOLE, Values, plain_name, read_arguments, read_value
from rating_engine.api.narayana.declare import Argument, Kind, Method, flag, number, text
from rating_engine.api.narayana.declared import METHODS
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.query import FORM, BadQuery, given_of, parts_of

REFUSED = {Code.E_MISSING_ARGUMENT, Code.E_INVALID_ARGUMENT}
METHOD = st.sampled_from(sorted(METHODS)).map(METHODS.__getitem__)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def value_of(argument: Argument) -> st.SearchStrategy[str]:
    """Texts that are of the argument's type."""
    match argument.kind:
        case Kind.NUMBER:
            return st.decimals(-(10**12), 10**12, allow_nan=False, places=4).map(lambda value: format(value, "f"))
        case Kind.FLAG:
            return st.sampled_from(["true", "false", "TRUE", "False", "1", "0"])
        case Kind.CHOICE:
            return st.sampled_from(argument.values)
        case Kind.TEXT:
            return WORDS.filter(lambda value: value and "\0" not in value)


def read_or_code(method: Method, texts: dict[str, str]) -> tuple[Values | None, Code | None]:
    try:
        return read_arguments(method, texts), None
    except Failure as failure:
        return None, failure.code


@given(METHOD, st.data())
def test_what_is_of_its_type_is_read_whatever_stands_beside_it(method, data):
    given_texts = {plain_name(each.name): data.draw(value_of(each)) for each in method.arguments}

    values = read_arguments(method, {**given_texts, "nosuchargument": "\0", "_": ""})

    assert all(values.has(each.name) for each in method.arguments)
    assert not values.has("nosuchargument")


@given(METHOD, st.data())
def test_anything_else_is_refused_by_one_of_two_codes_and_never_guessed(method, data):
    names = [plain_name(each.name) for each in method.arguments] or ["a"]
    texts = data.draw(st.dictionaries(st.sampled_from(names), WORDS))

    values, code = read_or_code(method, texts)
    if values is None:
        assert code in REFUSED
        return
    for each in method.arguments:
        shown = texts.get(plain_name(each.name))
        if shown is not None and each.kind is Kind.NUMBER:
            assert values.number(each.name) == Decimal(shown)


@given(METHOD)
def test_without_its_obligatory_arguments_it_says_which_is_missing(method):
    needed = [each.name for each in method.arguments if each.required]

    if not needed:
        read_arguments(method, {})
        return
    with pytest.raises(Failure) as caught:
        read_arguments(method, {})
    assert caught.value.code is Code.E_MISSING_ARGUMENT
    assert caught.value.description.startswith(needed[0])


@pytest.mark.parametrize("shown", ["1e5", "NaN", "Infinity", "1,5", " 1", "1 ", "", "0x10", "١", "1" * 31, "--1", "1."])
def test_a_number_is_a_plain_decimal(shown):
    with pytest.raises(Failure) as caught:
        read_value(number("n"), shown)
    assert caught.value.code is Code.E_INVALID_ARGUMENT


@pytest.mark.parametrize("shown", ["yes", "", "2", "tru", "on"])
def test_a_flag_is_true_or_false(shown):
    with pytest.raises(Failure):
        read_value(flag("f"), shown)


def test_a_whole_number_has_no_decimals_and_fits_a_column():
    def whole(shown: str) -> int | None:
        method = Method("m", 0, (number("id"),))
        return read_arguments(method, {"id": shown}).whole("id")

    assert (whole("7"), whole("7.000"), whole(str(MAX_WHOLE))) == (7, 7, MAX_WHOLE)
    for shown, code in (("7.5", Code.E_INVALID_ARGUMENT), (str(MAX_WHOLE + 1), Code.E_DATA_ABORT)):
        with pytest.raises(Failure) as caught:
            whole(shown)
        assert caught.value.code is code


def test_names_are_compared_without_case_and_a_blank_is_an_underscore():
    method = Method("m", 0, (text("default_user", "whose"),))

    for name in ("Default User", "DEFAULT_USER", "whose"):
        assert (
            read_arguments(method, given_of(urlencode({name: "anna"}).encode(), "", b"")).text("default_user") == "anna"
        )


@given(st.dictionaries(WORDS, WORDS), st.dictionaries(WORDS, WORDS))
def test_query_and_body_are_merged_and_the_body_wins(query, body):
    def plain(texts: dict[str, str]) -> dict[str, str]:
        return {plain_name(name): value for name, value in texts.items()}

    expected = {**plain(query), **plain(body)}

    assert given_of(urlencode(query).encode(), FORM, urlencode(body).encode()) == expected
    assert given_of(urlencode(query).encode(), "application/json; charset=utf-8", json.dumps(body).encode()) == expected


@given(st.binary(max_size=200), st.sampled_from(["", FORM, "application/json", "text/xml", "multipart/form-data"]))
def test_whatever_is_sent_is_read_or_no_query(body, content_type):
    for query in (b"", body):
        try:
            found = given_of(query, content_type, body)
        except BadQuery:
            continue
        assert all(isinstance(value, str) for value in found.values())


@pytest.mark.parametrize("body", [b"[1]", b'{"a": [1]}', b'{"a": NaN}', b"[" * 60_000, b'{"a": "\\ud800"}', b"{"])
def test_json_that_is_no_table_of_values_is_no_query(body):
    with pytest.raises(BadQuery):
        given_of(b"", "application/json", body)


def test_numbers_of_json_are_read_as_they_are_written():
    assert given_of(b"", "application/json", b'{"a": 0.10, "b": true, "c": null, "d": 12345678901234567890}') == {
        "a": "0.10", "b": "true", "d": "12345678901234567890"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/2.2/key/getInfo", ("2.2", "key", "getInfo")),
        ("//2.2//key/getInfo/", ("2.2", "key", "getInfo")),
        ("/2.2/key", None),
        ("/user_login/key/x", None),
        ("/2.2/key/a/b", None),
    ],
)
def test_a_path_has_a_version_a_key_and_a_method(path, parts):
    assert parts_of(path) == parts
