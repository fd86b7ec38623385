"""Pages: what a cursor keeps, and what is no cursor."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.page import MAX_LIMIT, Cursor, page_of


def test_a_page_that_is_not_the_last_says_where_the_next_begins():
    page = page_of(["a", "b", "c"], Cursor(2), lambda item: (item,))

    assert page.items == ("a", "b")
    assert Cursor(2, page.next).position(str) == ("b",)


@pytest.mark.parametrize("found", [[], ["a"], ["a", "b"]])
def test_the_last_page_has_no_next(found):
    assert page_of(found, Cursor(2), lambda item: (item,)).next is None


def test_a_position_is_the_same_values_again():
    at = datetime(2026, 11, 29, 12, 30, 0, 123456, tzinfo=UTC)
    values = ("ключ, \x1b", -(2**62), at, Decimal("0.10"))

    page = page_of([0, 1], Cursor(1), lambda item: values)

    assert Cursor(1, page.next).position(str, int, datetime, Decimal) == values


def test_the_first_page_is_behind_nothing():
    assert Cursor().position(str, int) == (None, None)


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1])
def test_a_page_has_a_limit(limit):
    with pytest.raises(InvalidRequest, match=r"^limit: "):
        Cursor(limit)


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "ÿ",
        "####",
        *map(cursor_of, ["", "7", "[]", '["a",1]', '["a"]', "[true]", "[1.5]", "[9223372036854775808]"]),
    ],
)
def test_what_is_no_cursor_of_the_list_is_refused_by_name(after):
    with pytest.raises(InvalidRequest, match=r"^after: "):
        Cursor(10, after).position(int)


@pytest.mark.parametrize("text", ["[7]", '["\\u0000"]', "[null]"])
def test_what_no_text_can_be_is_no_cursor_of_texts(text):
    with pytest.raises(InvalidRequest, match=r"^after: "):
        Cursor(10, cursor_of(text)).position(str)


@pytest.mark.parametrize("text", ['["2026-11-29T12:00:00"]', '["never"]'])
def test_an_instant_without_a_zone_is_no_cursor(text):
    with pytest.raises(InvalidRequest, match=r"^after: "):
        Cursor(10, cursor_of(text)).position(datetime)
