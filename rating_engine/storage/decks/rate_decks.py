"""Rate decks as the hot path reads them: every row of a deck that may price a call to a number, and the directions.

Law: one round trip a question, served by an index (tests/integration/test_rate_plans.py asks EXPLAIN).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any, Final

import asyncpg
import structlog

from rating_engine.domain.deck import TariffLine
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tariff import Direction
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, AttemptPrice, CandidateRate, needed
from rating_engine.rating.money import format_amount
from rating_engine.rating.prefix import prefixes
from rating_engine.rating.rate import InvalidRate, Rate
from rating_engine.storage.postgres.pool import Questions

# Of a whole directory of directions: about 300 bytes each in every worker. A carrier sells some thousands.
MAX_DIRECTIONS: Final = 50_000
# Rows that one number may have to choose from: callers of every country at three times of day are some 600. A number
# that has more of them is declined.
MAX_CANDIDATES: Final = 1_000
ATTEMPTS: Final = "attempts"  # of `extras`: [attempt, price, route] of each; an engine that does not know it declines
NO_ATTEMPTS: Final[tuple[AttemptPrice, ...]] = ()
TOLD_DECKS: Final = 1_000  # whose unusable rows were reported; when there are more, all are reported anew

RATE_COLUMNS: Final = (
    *("prefix", "origin", "band", "effective_from", "effective_to", "direction", "price_1", "price_n", "price_unit"),
    *("interval_1", "interval_n", "connect_fee", "free_seconds", "grace_period", "postcall_surcharge"),
    *("minimum_charge", "extras", "blocked"),
)

# Each of the three parts probes the primary key, which begins with deck_id and prefix. `before` and `after` are the
# destination's neighbours in the order of prefixes: they say how many of its digits the answer depends on.
CANDIDATES: Final = f"""
    SELECT found.*,
           (SELECT prefix FROM rates WHERE deck_id = $1 AND prefix <= $3 ORDER BY prefix DESC LIMIT 1) AS before,
           (SELECT prefix FROM rates WHERE deck_id = $1 AND prefix > $3 ORDER BY prefix LIMIT 1) AS after
    FROM (VALUES (1)) AS at_least_one_row
    LEFT JOIN LATERAL (
        SELECT {", ".join(RATE_COLUMNS)}
        FROM rates WHERE deck_id = $1 AND prefix = ANY($2::text[]) ORDER BY length(prefix) DESC
        LIMIT {MAX_CANDIDATES + 1}
    ) AS found ON true"""  # noqa: S608  # made of constants

_DIRECTIONS: Final = "SELECT code, name, min_len, max_len FROM directions"

RateRow = asyncpg.Record | Mapping[str, Any]

_log = structlog.get_logger(__name__)
_told: set[int] = set()


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a deck says of a destination: the rows that can win for some call, and the neighbouring prefixes (or None).

    `longest` is the longest prefix of the destination that any row has, whether or not it counts for a call.
    """

    rows: tuple[CandidateRate, ...]
    longest: str | None
    before: str | None
    after: str | None


async def find_candidates(database: Questions, deck_id: int, longest_prefix: int, destination: str) -> Candidates:
    """The rows of a deck for `destination` (digits), by one statement. `longest_prefix`: of the deck.

    Beyond MAX_CANDIDATES rows, or where a row says what no rate can be, calls are declined; it is logged.
    """
    found = await database.fetch(CANDIDATES, *candidates_args(deck_id, destination, longest_prefix))
    before, after = found[0]["before"], found[0]["after"]  # there is always one row
    if found[0]["prefix"] is None:
        return Candidates((), None, before, after)
    rows = needed(candidate_from_row(deck_id, row) for row in found[:MAX_CANDIDATES])
    if len(found) > MAX_CANDIDATES and not _is_complete(rows, len(found[-1]["prefix"])):
        _report(deck_id, rows[0].prefix, f"its numbers have more than {MAX_CANDIDATES} rates to choose from")
        rows = (_unusable(rows[0].prefix),)
    return Candidates(rows, found[0]["prefix"], before, after)


def candidates_args(deck_id: int, destination: str, longest_prefix: int) -> tuple[int, Sequence[str], str]:
    """The arguments of CANDIDATES."""
    return deck_id, prefixes(destination, longest_prefix), destination[:longest_prefix]


async def load_directions(database: Questions) -> dict[str, Direction]:
    """Every direction by its code; MAX_DIRECTIONS of them where there are more."""
    rows = await database.fetch(f"{_DIRECTIONS} ORDER BY code LIMIT $1", MAX_DIRECTIONS)
    return {row["code"]: direction_from_row(row) for row in rows}


async def load_direction(database: Questions, code: str) -> Direction | None:
    """One direction, or None."""
    row = await database.fetchrow(f"{_DIRECTIONS} WHERE code = $1", code)
    return None if row is None else direction_from_row(row)


async def list_decks(database: Questions, cursor: Cursor) -> Page[TariffLine]:
    """Tariffs by name with their published deck. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(
        """SELECT t.name, t.currency, d.version, d.rate_count AS rates, d.longest_prefix, d.published_at
           FROM tariffs t LEFT JOIN rate_decks d ON d.deck_id = deck_at(t.tariff_id, now())
           WHERE $1::text IS NULL OR t.name > $1 ORDER BY t.name LIMIT $2""",
        *cursor.position(str),
        cursor.rows,
    )
    return page_of_rows(rows, cursor, lambda row: (row["name"],), lambda row: TariffLine(**row))


def rate_from_row(row: RateRow) -> Rate:
    """The rate of a row of `rates`; what the row does not say has the default of `Rate`. Errors: InvalidRate."""
    rate = Rate(
        price_1=row["price_1"],
        price_n=row["price_n"],
        price_unit=row["price_unit"],
        interval_1=row["interval_1"],
        interval_n=row["interval_n"],
        free_seconds=row["free_seconds"],
        grace_period=row["grace_period"],
        connect_fee=row["connect_fee"],
        postcall_surcharge=row["postcall_surcharge"],
    )
    if row["minimum_charge"] or row["extras"]:
        rate = _with_extras(rate, row)
    # Through its text, so that equal rates are one object with its arithmetic prepared: a deck has few distinct ones.
    return Rate.from_json(rate.to_json())


def direction_from_row(row: asyncpg.Record) -> Direction:
    """The direction of a row of `directions`."""
    return Direction(code=row["code"], name=row["name"], min_len=row["min_len"], max_len=row["max_len"])


def _with_extras(rate: Rate, row: RateRow) -> Rate:
    """The rate with the terms that few rows have, which a column of text holds as JSON."""
    extras = _extras(row)
    extras.pop(ATTEMPTS, None)
    for name in extras:
        if name in RATE_COLUMNS:
            raise InvalidRate("extras", f"says {name}, which has a column")
    terms = json.loads(rate.to_json()) | extras
    if row["minimum_charge"]:
        terms["minimum_charge"] = format_amount(row["minimum_charge"])
    try:
        return Rate.from_json(json.dumps(terms))
    except (TypeError, ArithmeticError, RecursionError) as error:
        raise InvalidRate("extras", f"is not of a rate: {error}") from error


def _extras(row: RateRow) -> dict[str, Any]:
    try:
        extras: Any = json.loads(row["extras"] or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidRate("extras", "is not JSON") from error
    if not isinstance(extras, dict):
        raise InvalidRate("extras", "is not a JSON object")
    return extras


def _attempts(row: RateRow) -> tuple[AttemptPrice, ...]:
    """What each attempt costs, where the row says so. Errors: InvalidRate."""
    if ATTEMPTS not in row["extras"]:
        return ()
    try:
        return attempts_of(_extras(row).get(ATTEMPTS, []))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidRate("extras", "says attempts that are none") from error


def attempts_of(said: Any) -> tuple[AttemptPrice, ...]:
    """Attempts as JSON has them: [attempt, price as text, route]. Errors: TypeError, ValueError, ArithmeticError."""
    return tuple(AttemptPrice(int(attempt), Decimal(price), int(route_id)) for attempt, price, route_id in said)


def candidate_from_row(deck_id: int, row: RateRow) -> CandidateRate:
    """A row with the columns of RATE_COLUMNS; one that says what no rate can be has none, and is logged."""
    rate, attempts = None, NO_ATTEMPTS
    if not row["blocked"]:
        try:
            attempts = _attempts(row)
            rate = rate_from_row(row)
        except InvalidRate as error:
            _report(deck_id, row["prefix"], str(error))
    return CandidateRate(
        prefix=row["prefix"],
        origin=row["origin"],
        band=row["band"],
        effective_from=row["effective_from"].replace(tzinfo=UTC),  # the driver's infinities have none, all else has it
        effective_to=row["effective_to"].replace(tzinfo=UTC),
        direction=row["direction"],
        blocked=row["blocked"],
        rate=rate,
        attempts=attempts,
    )


def _is_complete(rows: tuple[CandidateRate, ...], cut_at: int) -> bool:
    """Whether no row that can win is missing, where the rows with prefixes of `cut_at` digits and fewer were cut."""
    return rows[-1].is_unconditional and len(rows[-1].prefix) > cut_at


def _unusable(prefix: str) -> CandidateRate:
    """In the place of rows that are too many: nothing is served by them, and nothing by a shorter prefix."""
    return CandidateRate(prefix, "", "", EVER_SINCE, FOR_EVER, "", False, None)


def _report(deck_id: int, prefix: str, problem: str) -> None:
    """Say that calls are declined by a row that cannot be used: once a deck, since all of it came from one place."""
    if deck_id in _told:
        return
    if len(_told) >= TOLD_DECKS:
        _told.clear()
    _told.add(deck_id)
    _log.error("rate_unusable", deck_id=deck_id, prefix=prefix, problem=problem)
