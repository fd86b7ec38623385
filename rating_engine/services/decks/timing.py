"""Instants that an operator says for a deck, as in `--from`: in the tariff's time zone unless they have an offset.

Law: a deck comes into force in the future or at once. In the past it would change what calls cost that were made.
"""

from __future__ import annotations

from datetime import datetime

from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.decks.file.dates import instant_of, zone_of
from rating_engine.services.decks.file.errors import RowRejected


def instant_said(field: str, text: str, time_zone: str) -> datetime:
    """An instant as a person writes it. Errors: InvalidRequest."""
    try:
        instant = instant_of(text, zone_of(time_zone), field)
    except RowRejected as error:
        raise InvalidRequest(field, str(error).removeprefix(f"{field}: ")) from None
    if instant is None:
        raise InvalidRequest(field, f"{text!r} is no date")
    return instant


def instant_ahead(text: str | None, time_zone: str, now: datetime) -> datetime | None:
    """When a deck is to come into force; None: at once. Errors: InvalidRequest where that has passed."""
    if text is None:
        return None
    instant = instant_said("from", text, time_zone)
    if instant <= now:
        raise InvalidRequest(
            "from", f"{text} ({time_zone}) has passed: the price of a call that was made does not change any more"
        )
    return instant
