import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rating_engine.rating.number import (
    MAX_CALLERID_LENGTH,
    MAX_NUMBER_DIGITS,
    MAX_NUMBER_TEXT,
    InvalidNumber,
    normalise_callerid,
    normalise_destination,
)

LAW = settings(deadline=None, max_examples=300)
NUMBERS = st.text("123456789", min_size=1, max_size=30)  # with any punctuation below the limit of the text
ANYTHING = st.one_of(st.text(max_size=200), st.text("0123456789+-.() ", max_size=60))


@LAW
@given(ANYTHING)
@example("+1\n")
def test_whatever_is_dialled_the_answer_is_a_number_or_a_refusal(text):
    try:
        digits = normalise_destination(text)
    except InvalidNumber:
        return
    assert 1 <= len(digits) <= MAX_NUMBER_DIGITS
    assert set(digits) <= set("0123456789")


@LAW
@given(NUMBERS, st.sampled_from(["", "+", "00", "(+", " 0 0 "]), st.sampled_from(["", " ", "-", ".", ") ("]))
def test_the_same_number_written_in_any_way_is_the_same_number(digits, opening, gap):
    assert normalise_destination(opening + gap.join(digits)) == digits


@LAW
@given(
    st.from_regex(r"[1-9][0-9]{0,2}", fullmatch=True).filter(lambda code: code not in ("39", "378", "379")),
    st.text("0123456789", min_size=1, max_size=28),
    st.sampled_from(["", "+", "00", " 00 "]),
    st.sampled_from(["(0)", " (0) ", "( 0 )", "-(0)-"]),
)
def test_a_trunk_zero_in_brackets_behind_a_country_code_is_not_dialled(country, rest, opening, zero):
    assert normalise_destination(opening + country + zero + rest) == country + rest


@LAW
@given(NUMBERS, st.sampled_from([*",&;|/@=?!%$<>\"'\\_:~^`[]{}\t\n", "w", "p", "x", "ext", "##"]), NUMBERS)
def test_a_number_is_never_joined_to_what_stands_behind_a_separator(digits, separator, more):
    with pytest.raises(InvalidNumber):
        normalise_destination(digits + separator + more)


@LAW
@given(ANYTHING)
def test_the_end_of_dialling_is_no_part_of_the_number(text):
    if not text.rstrip(" -.()").endswith("#") and len(text) < MAX_NUMBER_TEXT:
        assert _outcome(text + "#") == _outcome(text)


def _outcome(text):
    try:
        return normalise_destination(text)
    except InvalidNumber as error:
        return str(error)


@LAW
@given(st.text(max_size=300))
def test_a_callerid_is_safe_bounded_and_stays_as_it_is_the_second_time(text):
    kept = normalise_callerid(text)

    assert len(kept) <= MAX_CALLERID_LENGTH
    assert all(character.isascii() and (character.isalnum() or character == "+") for character in kept)
    assert normalise_callerid(kept) == kept
