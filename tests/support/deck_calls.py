"""Random decks with conditions and random calls, and the row that prices a call as a person would look for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from rating_engine.rating.matching import EVER_SINCE, FOR_EVER
from tests.support.decks import BLOCKED, DeckRow

DIGITS = "012"  # few digits, so that prefixes meet often
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOURS = [NOON + timedelta(hours=hour) for hour in range(4)]
LITTLE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Call:
    """What the choice of a rate depends on."""

    number: str
    at: datetime = NOON
    origin: str = ""
    band: str = ""


def rows() -> st.SearchStrategy[DeckRow]:
    """Half of them without a condition."""
    prefix, price = st.text(DIGITS, min_size=1, max_size=5), st.sampled_from(["0.01", "0.02", "0.03", BLOCKED])
    ends = st.tuples(st.sampled_from([EVER_SINCE, *HOURS]), st.sampled_from([*HOURS, FOR_EVER]))
    return st.one_of(
        st.builds(DeckRow, prefix, price),
        st.builds(
            lambda prefix, price, origin, band, ends: DeckRow(prefix, price, origin, band, *ends),
            prefix,
            price,
            st.text(DIGITS, max_size=2),
            st.sampled_from(["", "day", "night"]),
            ends.filter(lambda ends: ends[0] < ends[1]),
        ),
    )


def decks(max_size: int = 25) -> st.SearchStrategy[list[DeckRow]]:
    """As the table takes them: no two rows of a prefix, origin and band come into effect at the same instant."""
    return st.lists(
        rows(), min_size=1, max_size=max_size, unique_by=lambda row: (row.prefix, row.origin, row.band, row.since)
    )


def calls() -> st.SearchStrategy[Call]:
    """At the edges of the rows' times, and around them."""
    moments = [moment + shift for moment in HOURS for shift in (-LITTLE, timedelta(), LITTLE)]
    return st.builds(
        Call,
        st.text(DIGITS, min_size=1, max_size=8),
        st.sampled_from(moments),
        st.text(DIGITS, max_size=4),
        st.sampled_from(["", "day", "night", "weekend"]),
    )


def brute_force(deck: Iterable[DeckRow], call: Call) -> DeckRow | None:
    """Every row is looked at: the longest prefix, then the longest origin, then the band, then what is newest."""
    counting = [
        row
        for row in deck
        if call.number.startswith(row.prefix)
        and call.origin.startswith(row.origin)
        and row.band in ("", call.band)
        and row.since <= call.at < row.until
    ]
    for prefix in (call.number[:length] for length in range(len(call.number), 0, -1)):
        of_prefix = [row for row in counting if row.prefix == prefix]
        for origin in (call.origin[:length] for length in range(len(call.origin), -1, -1)):
            for band in (call.band, ""):
                found = [row for row in of_prefix if (row.origin, row.band) == (origin, band)]
                if found:
                    return max(found, key=lambda row: row.since)
    return None
