from hypothesis import given, settings
from hypothesis import strategies as st

from rating_engine.rating.prefix import longest_match, prefixes

LAW = settings(deadline=None, max_examples=200)
DIGITS = st.text("0123", max_size=12)  # few digits, so that prefixes of prefixes are common
DECKS = st.dictionaries(DIGITS, st.integers())


@LAW
@given(DIGITS, DECKS, st.integers(0, 14))
def test_longest_match_is_what_looking_at_every_key_finds(number, deck, longest):
    fitting = [prefix for prefix in deck if 1 <= len(prefix) <= longest and number.startswith(prefix)]
    expected = max(fitting, key=len, default=None)

    assert longest_match(number, deck, longest) == (None if expected is None else (expected, deck[expected]))


@LAW
@given(DIGITS, st.integers(0, 14))
def test_prefixes_are_all_of_them_each_once_longest_first(number, longest):
    found = prefixes(number, longest)

    assert sorted(found, key=len, reverse=True) == found
    assert set(found) == {number[:end] for end in range(1, len(number) + 1) if end <= longest}
    assert len(set(found)) == len(found)
