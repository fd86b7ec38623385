"""Filters and orders of call rates: what is written by the grammar is read back, anything else is refused by name."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.rate_query import (
    FIELDS,
    MAX_QUERY,
    MAX_TERMS,
    NUMBERS,
    TEXTS,
    Comparison,
    Operator,
    Order,
    parse_filter,
    parse_orderby,
)

WORDS = [operator for operator in Operator if operator not in (Operator.CONTAINS, Operator.STARTSWITH)]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBER = st.decimals(-10_000, 10_000, places=5)
COMPARISONS = st.one_of(
    st.builds(Comparison, st.sampled_from(TEXTS), st.sampled_from(list(Operator)), TEXT),
    st.builds(Comparison, st.sampled_from(NUMBERS), st.sampled_from(WORDS), NUMBER),
)
GROUPS = st.lists(st.lists(COMPARISONS, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4).map(tuple)


def written(one: Comparison) -> str:
    value = f"{one.value:f}" if isinstance(one.value, Decimal) else "'{}'".format(one.value.replace("'", "''"))
    if one.operator in WORDS:
        return f"{one.field} {one.operator} {value}"
    return f"{one.operator}( {one.field} ,{value})"


@given(GROUPS)
def test_a_filter_is_read_as_it_was_written(groups):
    text = "  or ".join(" and  ".join(map(written, group)) for group in groups)
    if len(text) <= MAX_QUERY:
        assert parse_filter(text) == groups


@given(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, unique=True), st.data())
def test_an_order_is_read_as_it_was_written(fields, data):
    orders = tuple(Order(field, data.draw(st.booleans())) for field in fields)
    text = " , ".join(f"{one.field} desc" if one.descending else one.field for one in orders)

    assert parse_orderby(text) == orders


@given(st.one_of(st.text(max_size=60), st.text("()',. eqandorprix_1'0", max_size=60)))
def test_any_text_is_read_or_refused_by_its_name(text):
    for parse, field in ((parse_filter, "filter"), (parse_orderby, "orderby")):
        refused = ""
        try:
            parse(text)
        except InvalidRequest as error:
            refused = error.field
        assert refused in ("", field)


@pytest.mark.parametrize(
    "text",
    [
        *("drop table", "prefix", "prefix eq", "prefix eq 370", "price_1 eq '1'", "price_1 eq 1e5", "price_1 eq 1x"),
        *("prefix eq '3", "id eq 'x'", "contains(price_1,1)", "contains(prefix '3')", "prefix eq '3' xor type eq 'x'"),
        *("prefix eq '3' and", "(prefix eq '3')", "not prefix eq '3'", "prefix contains '3'", "prefix eq '3'; --"),
        *("prefix like '3'", "PREFIX eq '3'", "prefix eq null", "price_1 eq ١"),
        " and ".join(["prefix eq '3'"] * (MAX_TERMS + 1)),
        "prefix eq '" + "3" * MAX_QUERY + "'",
    ],
)
def test_what_is_no_filter_is_refused(text):
    with pytest.raises(InvalidRequest) as refused:
        parse_filter(text)
    assert refused.value.field == "filter"


@pytest.mark.parametrize("text", ["price", "prefix up", "prefix,", "prefix,prefix desc", "prefix asc desc", "1", "id"])
def test_what_is_no_order_is_refused(text):
    with pytest.raises(InvalidRequest) as refused:
        parse_orderby(text)
    assert refused.value.field == "orderby"
