"""Single rates of a deck, set, removed and listed without publishing the deck anew.

Laws: the price of a call that was made never changes: an edit begins now or later. It counts for the very next call,
since it counts the tariff's version. Another deck that comes into force brings its own rates, and no edits.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from rating_engine.domain.errors import InvalidRequest, NotFound, Refused
from rating_engine.domain.principal import Principal
from rating_engine.domain.rate_edit import EditedRate, RateKey
from rating_engine.rating.rate import Rate
from rating_engine.services.decks.file.extras import extras_text
from rating_engine.storage import audit_log
from rating_engine.storage.decks import rate_edits as store
from rating_engine.storage.decks.deck_columns import TERMS
from rating_engine.storage.decks.deck_load import lock_tariff
from rating_engine.storage.decks.rate_edits import EditTarget
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tariffs.direction_prices import is_priced_by_direction
from rating_engine.storage.tenants.billing import is_tariff_of_tenant

MAX_DIRECTION: Final = 100  # characters of a code; it stands in CDRs and channel variables
EDITS_SHOWN: Final = store.EDITS_MAX  # all that a deck can have

_PREFIX: Final = re.compile(r"[0-9]{1,32}")
_ORIGIN: Final = re.compile(r"[0-9]{0,32}|inter|intra")
_BAND: Final = re.compile(r"([a-z][a-z0-9_-]{0,31})?")
_OF_RATE: Final = frozenset(TERMS) - {"direction", "extras", "blocked"}


class RateEdits:
    """The rates of tariffs, one at a time."""

    def __init__(self, office: Database, principal: Principal) -> None:
        self._office = office
        self._principal = principal

    async def set_rate(
        self,
        tariff: str,
        key: RateKey,
        rate: Rate | None,
        *,
        direction: str,
        since: datetime | None = None,
    ) -> EditedRate:
        """Price calls of this key by `rate` from `since` (None: at once) until it is set again; None: decline them.

        `direction`: the code it belongs to, made if need be. Errors: InvalidRequest (prefix, origin, band, direction,
        since), NotFound (the tariff), Unavailable.
        """
        if not 1 <= len(direction) <= MAX_DIRECTION or not direction.isprintable():
            raise InvalidRequest("direction", f"a code has 1 to {MAX_DIRECTION} printable characters")
        return await self._put(tariff, key, direction=direction, rate=rate, blocked=rate is None, since=since)

    async def remove_rate(self, tariff: str, key: RateKey, *, since: datetime | None = None) -> EditedRate:
        """Let calls of this key go by what else the deck has, a shorter prefix for example. Errors: as `set_rate`."""
        return await self._put(tariff, key, direction="", rate=None, removed=True, since=since)

    async def cancel(self, tariff: str, key: RateKey, begins: datetime) -> None:
        """Take back an edit that is still ahead. Errors: NotFound (no such edit, or it has begun), Unavailable."""
        async with self._office.transaction(self._principal) as tx:
            await lock_tariff(tx.connection, tariff)
            target = await _target(tx, tariff, begins)
            if not await store.cancel(tx, target, key, begins):
                raise NotFound(f"the tariff {tariff} has no change of {key.prefix} ahead at {begins}")
            await audit_log.record(tx, "rate.cancel", f"{tariff}/{key.prefix}", {"begins": begins})

    async def list_edits(self, tariff: str, *, at: datetime | None = None) -> list[EditedRate]:
        """Every edit of the deck in force at `at` (None: now), by prefix and time. Errors: NotFound, Unavailable."""
        target = await store.find_target(self._office, tariff, at)
        if target is None:
            raise NotFound(f"there is no tariff {tariff}")
        if target.deck_id is None:
            return []
        return await store.list_edits(self._office, target.deck_id, limit=EDITS_SHOWN)

    async def _put(
        self,
        tariff: str,
        key: RateKey,
        *,
        direction: str,
        rate: Rate | None,
        since: datetime | None,
        blocked: bool = False,
        removed: bool = False,
    ) -> EditedRate:
        _check(key)
        async with self._office.transaction(self._principal) as tx:
            await lock_tariff(tx.connection, tariff)
            if await is_priced_by_direction(tx, tariff):
                raise Refused(f"the tariff {tariff} is priced by directions, one by one: change the direction's price")
            if await is_tariff_of_tenant(tx, tariff):
                raise Refused(
                    f"the tariff {tariff} is made of the call rates of a tenant, which are changed by its API"
                )
            kept = await put_edit(
                tx, tariff, key, direction=direction, rate=rate, since=since, blocked=blocked, removed=removed
            )
            await audit_log.record(tx, f"rate.{'remove' if removed else 'set'}", f"{tariff}/{key.prefix}", _told(kept))
        return kept


async def put_edit(
    tx: Transaction,
    tariff: str,
    key: RateKey,
    *,
    direction: str = "",
    rate: Rate | None = None,
    since: datetime | None = None,
    blocked: bool = False,
    removed: bool = False,
) -> EditedRate:
    """Keep an edit of a tariff that is locked, from `since` on (None: at once).

    Errors: InvalidRequest (since), NotFound (the tariff), Unavailable.
    """
    target = await _target(tx, tariff, since)
    if since is not None and target.at > since:
        raise InvalidRequest("since", f"{since} has passed: what calls cost that were made does not change")
    if target.edits >= store.EDITS_MAX:
        assert target.deck_id is not None  # it has edits
        await store.publish_whole(tx, target.deck_id)
        target = await _target(tx, tariff, since)
    edit = EditedRate(key, direction, rate, blocked, removed, target.at, None)
    return await store.put(tx, target, edit, terms_of_edit(edit))


async def _target(tx: Transaction, tariff: str, since: datetime | None) -> EditTarget:
    target = await store.find_target(tx, tariff, since)
    if target is None:
        raise NotFound(f"there is no tariff {tariff}")
    if target.deck_id is None:
        return replace(target, deck_id=await store.publish_empty(tx, target.tariff_id), edits=0)
    return target


def _check(key: RateKey) -> None:
    for field, text, form, wanted in (
        ("prefix", key.prefix, _PREFIX, "1 to 32 digits"),
        ("origin", key.origin, _ORIGIN, "at most 32 digits, inter or intra"),
        ("band", key.band, _BAND, "the name of a band"),
    ):
        if not form.fullmatch(text):
            raise InvalidRequest(field, f"{text!r} is not {wanted}")


def terms_of_edit(edit: EditedRate) -> list[Any]:
    """TERMS of an edit's row; where it has no rate, prices that count for nothing."""
    rate = edit.rate or Rate(price_1=0)
    values = {name: getattr(rate, name) for name in _OF_RATE}
    values |= {"direction": edit.direction, "extras": extras_text(rate), "blocked": edit.blocked}
    return [values[name] for name in TERMS]


def _told(edit: EditedRate) -> dict[str, Any]:
    """What the audit log keeps of an edit."""
    return {
        "origin": edit.key.origin,
        "band": edit.key.band,
        "direction": edit.direction,
        "rate": None if edit.rate is None else edit.rate.to_json(),
        "blocked": edit.blocked,
        "effective_from": edit.effective_from,
    }
