from hypothesis import example, given, settings
from hypothesis import strategies as st

from rating_engine.rating.number import (
    MAX_CALLERID_LENGTH,
    MAX_NUMBER_DIGITS,
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
@given(st.text(max_size=300))
def test_a_callerid_is_safe_bounded_and_stays_as_it_is_the_second_time(text):
    kept = normalise_callerid(text)

    assert len(kept) <= MAX_CALLERID_LENGTH
    assert all(character.isascii() and (character.isalnum() or character == "+") for character in kept)
    assert normalise_callerid(kept) == kept
