"""An answer of a deck as text, and back.

An answer is every row of the deck that may price a call to a number, whenever it is made and by whom.

Law: a text counts only if writing what was read gives the same text again, for the deck and the region asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from rating_engine.domain.tariff import PublishedDeck
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, AttemptPrice, CandidateRate
from rating_engine.rating.rate import Rate
from rating_engine.storage.decks.rate_decks import attempts_of


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A kept answer and the region (see services/facts/regions) it holds for; no candidates: no rate serves it."""

    region: str
    candidates: tuple[CandidateRate, ...]


def render(deck: PublishedDeck, answer: CachedAnswer) -> bytes:
    """An answer as text that repeats its deck and region."""
    return orjson.dumps([deck.key, answer.region, [_candidate_values(each) for each in answer.candidates]])


def parse(deck: PublishedDeck, region: str, value: bytes) -> CachedAnswer | None:
    """The answer that `render` wrote for this deck and region; None for anything else."""
    try:
        match orjson.loads(value):
            case [deck.key, said, list(candidates)] if said == region:
                answer = CachedAnswer(region, tuple(_candidate(region, values) for values in candidates))
                return answer if render(deck, answer) == value else None
    except (ValueError, TypeError, ArithmeticError):  # not JSON, or not what a rate or a moment is written as
        pass
    return None


def _candidate_values(candidate: CandidateRate) -> tuple[Any, ...]:
    """Prefix, direction and rate (None: blocked); what makes it conditional follows where something does, and then what
    its attempts cost."""
    rate = None if candidate.rate is None else candidate.rate.to_json()
    values = candidate.prefix, candidate.direction, rate
    if candidate.is_unconditional and not candidate.attempts:
        return values
    since = None if candidate.effective_from == EVER_SINCE else candidate.effective_from.isoformat()
    until = None if candidate.effective_to == FOR_EVER else candidate.effective_to.isoformat()
    conditions = *values, candidate.origin, candidate.band, since, until
    attempts = [(attempt, str(price), route_id) for attempt, price, route_id in candidate.attempts]
    return (*conditions, attempts) if attempts else conditions


def _candidate(region: str, values: object) -> CandidateRate:
    """What `_candidate_values` wrote. Errors: ValueError for what it cannot have written."""
    attempts: tuple[AttemptPrice, ...] = ()
    match values:
        case [str(prefix), str(direction), str() | None as rate]:
            origin, band, since, until = "", "", EVER_SINCE, FOR_EVER
        case [str(prefix), str(direction), str() | None as rate, str(origin), str(band), since_, until_, *said] if (
            len(said) < 2
        ):
            since, until = _moment(since_, EVER_SINCE), _moment(until_, FOR_EVER)
            attempts = attempts_of(said[0]) if said else ()
        case _:
            raise ValueError("has not the shape of a candidate")
    if not prefix or not region.startswith(prefix):
        raise ValueError(f"the prefix {prefix} is not of the region {region}")
    parsed = None if rate is None else Rate.from_json(rate)
    return CandidateRate(prefix, origin, band, since, until, direction, rate is None, parsed, attempts)


def _moment(said: object, otherwise: datetime) -> datetime:
    return otherwise if said is None else datetime.fromisoformat(str(said)).replace(tzinfo=UTC)
