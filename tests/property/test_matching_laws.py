"""Law: what is kept of a deck for a number decides every call to it as the whole deck does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rating_engine.rating.matching import CandidateRate, choose, needed
from rating_engine.rating.rate import Rate
from tests.support.deck_calls import Call, brute_force, calls, decks
from tests.support.decks import BLOCKED, DeckRow


def candidate(row: DeckRow) -> CandidateRate:
    blocked = row.price == BLOCKED
    return CandidateRate(
        row.prefix,
        row.origin,
        row.band,
        row.since,
        row.until,
        "",
        blocked,
        None if blocked else Rate(price_1=row.price),
    )


def candidates_of(deck: list[DeckRow], number: str) -> list[CandidateRate]:
    return [candidate(row) for row in deck if number.startswith(row.prefix)]


@given(decks(), calls())
def test_the_chosen_row_is_the_one_that_looking_at_every_row_finds(deck: list[DeckRow], call: Call) -> None:
    expected = brute_force(deck, call)
    found = choose(candidates_of(deck, call.number), at=call.at, origin=call.origin, band=call.band)
    assert found == (None if expected is None else candidate(expected))


@given(decks(), st.lists(calls(), min_size=1, max_size=10))
def test_the_needed_rows_decide_every_call_to_their_number_as_all_rows_do(
    deck: list[DeckRow], some: list[Call]
) -> None:
    number = some[0].number
    everything = candidates_of(deck, number)
    kept = needed(everything)
    for call in some:
        how = {"at": call.at, "origin": call.origin, "band": call.band}
        assert choose(kept, **how) == choose(everything, **how)


@given(decks(), calls(), st.randoms())
def test_the_needed_rows_are_the_same_in_whatever_order_the_rows_come(deck, call, chance) -> None:
    rows = candidates_of(deck, call.number)
    shuffled = chance.sample(rows, len(rows))
    assert needed(shuffled) == needed(rows)
    assert needed(needed(rows)) == needed(rows)


@given(decks(), calls())
def test_no_row_is_kept_that_an_unconditional_row_of_a_longer_prefix_hides(deck: list[DeckRow], call: Call) -> None:
    kept = needed(candidates_of(deck, call.number))
    floor = max((len(row.prefix) for row in kept if row.is_unconditional), default=0)
    assert all(len(row.prefix) >= floor for row in kept)
