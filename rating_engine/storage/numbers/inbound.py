"""What a call that comes in is told by: its number, who pays, and by which tariff; one statement a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.did import DidState
from rating_engine.domain.errors import NotFound
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

# The line as storage/numbers/rents finds it, so that what rings by default is what pays.
_CALLED: Final = """
    SELECT d.did_id, d.number, d.party_id, d.state, d.enabled, d.paid_to, d.max_calls, p.utc_offset, l.login,
           i.inbound_tariff_id, COALESCE(t.did_multiplier, 1) AS did_multiplier,
           EXISTS (SELECT 1 FROM party_number_lists n
                   WHERE n.party_id = d.party_id AND n.side = 'source') AS has_source_list,
           ARRAY(SELECT (x.tariff_id, y.inbound_tariff_id, x.did_multiplier) FROM tariffs x
                 LEFT JOIN inbound_tariffs y USING (tariff_id)
                 WHERE x.tariff_id = ANY (l.reseller_tariffs)) AS resellers
    FROM dids d LEFT JOIN parties p USING (party_id)
    LEFT JOIN LATERAL (
        SELECT s.login, s.tariff_id, s.reseller_tariffs FROM subscribers s
        WHERE s.party_id = d.party_id AND (d.line IS NULL OR s.login = d.line)
        ORDER BY s.login <> p.login, s.subscriber_id LIMIT 1) l ON true
    LEFT JOIN inbound_tariffs i ON i.tariff_id = l.tariff_id LEFT JOIN tariffs t ON t.tariff_id = l.tariff_id
    WHERE d.number = $1"""
# A line that is called is open while it is there; who is blocked may be called all the same.
_CALLED_LINE: Final = """
    SELECT 0 AS did_id, ltrim(s.callerid, '+') AS number, s.party_id, 'active' AS state, true AS enabled,
           'infinity'::timestamptz AS paid_to, 0 AS max_calls, p.utc_offset, s.login, NULL::bigint AS inbound_tariff_id,
           1::numeric AS did_multiplier, '{}'::record[] AS resellers,
           EXISTS (SELECT 1 FROM party_number_lists n
                   WHERE n.party_id = s.party_id AND n.side = 'source') AS has_source_list
    FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login JOIN parties p USING (party_id)
    LEFT JOIN sip_accounts a ON a.bucket = s.bucket AND a.subscriber_id = s.subscriber_id
    WHERE l.login = $1 AND a.deleted_at IS NULL"""
_SET: Final = """
    INSERT INTO inbound_tariffs (tariff_id, inbound_tariff_id) VALUES ($1, $2)
    ON CONFLICT (tariff_id) DO UPDATE SET inbound_tariff_id = EXCLUDED.inbound_tariff_id"""
_TARIFF: Final = "SELECT tariff_id FROM tariffs WHERE name = $1"
_PRICES: Final = """
    SELECT t.name AS tariff, i.name AS inbound FROM inbound_tariffs JOIN tariffs t USING (tariff_id)
    JOIN tariffs i ON i.tariff_id = inbound_tariff_id ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class CalledNumber:
    """A number that is called. `login`: the line that pays, None: there is none. `inbound_tariff_id` None: free.

    `resellers`: of the tariffs of those above it who pay: tariff, by whose rates it is priced, multiplier.
    `has_source_list`: whether its owner has a list of who may call, or may not.

    Of a line that is called itself `number` is its caller id, '' where it has none.
    """

    did_id: int
    number: str
    party_id: int | None
    state: DidState
    enabled: bool
    paid_to: datetime | None
    max_calls: int
    utc_offset: int | None
    login: str | None
    inbound_tariff_id: int | None
    did_multiplier: Decimal
    resellers: Sequence[tuple[int, int | None, Decimal]]
    has_source_list: bool

    def takes_calls(self, now: datetime) -> bool:
        """As Did.takes_calls."""
        return self.state is DidState.ACTIVE and self.enabled and self.paid_to is not None and now < self.paid_to


async def called_number(questions: Questions, number: str) -> CalledNumber | None:
    """The number that is called; None: it is none of ours. Errors: Unavailable."""
    row = await questions.fetchrow(_CALLED, number)
    return None if row is None else CalledNumber(**{**row, "state": DidState(row["state"])})


async def called_line(questions: Questions, login: str) -> CalledNumber | None:
    """The line that is called; None: it is none of ours. Errors: Unavailable."""
    row = await questions.fetchrow(_CALLED_LINE, login)
    return None if row is None else CalledNumber(**{**row, "state": DidState(row["state"])})


async def set_inbound_tariff(tx: Transaction, tariff: str, inbound: str | None) -> None:
    """By which tariff calls are priced that come in to who has `tariff`; None: they are free. Errors: NotFound."""
    tariff_id = await _tariff_id(tx, tariff)
    if inbound is None:
        await tx.execute("DELETE FROM inbound_tariffs WHERE tariff_id = $1", tariff_id)
    else:
        await tx.execute(_SET, tariff_id, await _tariff_id(tx, inbound))


async def inbound_tariffs(questions: Questions) -> list[tuple[str, str]]:
    """Tariffs whose calls coming in have a price, with the one that says it. Errors: Unavailable."""
    return [(row["tariff"], row["inbound"]) for row in await questions.fetch(_PRICES)]


async def _tariff_id(tx: Transaction, name: str) -> int:
    found: int | None = await tx.fetchval(_TARIFF, name)
    if found is None:
        raise NotFound(f"tariff {name!r} does not exist", field="tariff")
    return found
