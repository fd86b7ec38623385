"""Subscribers as the call path reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Final

import asyncpg

from rating_engine.domain.account import Reseller, Subscriber, SubscriberOption
from rating_engine.domain.party import AllowedCalls
from rating_engine.domain.route_plan import BlacklistMode
from rating_engine.rating.numbering import NO_ALIASES
from rating_engine.storage.parties.logins import by_bucket
from rating_engine.storage.postgres.batching import Batcher
from rating_engine.storage.postgres.pool import Database

# What is read of a subscriber `s` and its account `a`, both of bucket $1; options and aliases of one in lists, so that
# one row is one. An option that ended is known a while longer: an engine's clock may be behind the database's.
COLUMNS: Final = """
    s.subscriber_id, s.version, s.login, s.bucket, s.account_id, s.tariff_id, a.currency, s.callerid, s.max_seconds,
    a.max_call_seconds, a.quota, COALESCE(s.numbering_plan, a.numbering_plan) AS numbering_plan,
    a.kind = 'prepaid' AS prepaid, a.allow_loss, s.party_id, s.calls::text,
    s.has_destination_list, s.warn_below, s.warn_sound, s.route_plan_id, s.dynamic_blacklist,
    s.score_threshold, s.blacklist_plan_id,
    ARRAY(SELECT (o.tariff_id, o.effective_from, o.effective_to) FROM subscriber_options o
          WHERE o.bucket = $1 AND o.subscriber_id = s.subscriber_id AND o.effective_to > now() - interval '1 hour'
          ORDER BY o.position, o.effective_from, o.tariff_id) AS options,
    CASE WHEN s.reseller_accounts IS NOT NULL THEN ARRAY(
        SELECT (r.account_id, r.tariff_id, p.currency, p.kind = 'prepaid')
        FROM unnest(s.reseller_accounts, s.reseller_tariffs) WITH ORDINALITY AS r(account_id, tariff_id, level)
        JOIN accounts p ON p.bucket = $1 AND p.account_id = r.account_id
        WHERE r.account_id <> s.account_id ORDER BY r.level) END AS resellers,
    ARRAY(SELECT (b.speeddial, b.number) FROM phonebook_entries b
          WHERE b.bucket = $1 AND b.party_id = s.party_id AND b.speeddial <> ''
          UNION ALL
          SELECT (x.alias, x.destination) FROM aliases x  -- last: a line's own counts before its user's
          WHERE x.bucket = $1 AND x.subscriber_id = s.subscriber_id) AS aliases,
    (SELECT f.trusted_cli FROM sip_accounts f
     WHERE f.bucket = $1 AND f.subscriber_id = s.subscriber_id AND f.force_callback) AS callback_to"""
BY_LOGINS: Final = f"""
    SELECT {COLUMNS}
    FROM subscribers s JOIN accounts a ON a.bucket = $1 AND a.account_id = s.account_id
    WHERE s.bucket = $1 AND s.login = ANY ($2)
"""  # noqa: S608  made of a constant

# Whether a number is the login of a party's line.
IS_LINE_OF: Final = "SELECT 1 FROM subscribers WHERE bucket = $1 AND login = $2 AND party_id = $3"


class SubscriberReader:
    """Reads subscribers, those asked for at the same time by one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logins = Batcher[str, Subscriber | None]("subscribers", self._read, lambda login: login)

    async def by_login(self, login: str) -> Subscriber | None:
        """The subscriber of a login, or None. Errors: Unavailable, Overloaded."""
        return await self._logins.submit(login)

    async def is_line_of(self, party_id: int, number: str) -> bool:
        """Whether what was dialled is a line of this party. Errors: Unavailable, Overloaded."""
        for bucket in await by_bucket(self._database, [number]):
            return await self._database.fetchval(IS_LINE_OF, bucket, number, party_id) is not None
        return False

    async def _read(self, logins: Sequence[str]) -> list[Subscriber | None]:
        found: dict[str, Subscriber] = {}
        for bucket, names in (await by_bucket(self._database, logins)).items():
            for row in await self._database.fetch(BY_LOGINS, bucket, names):
                found[row["login"]] = subscriber_from_row(row)
        return [found.get(login) for login in logins]


def subscriber_from_row(row: asyncpg.Record) -> Subscriber:
    """The subscriber of a row that has COLUMNS."""
    return Subscriber(
        subscriber_id=row["subscriber_id"],
        version=row["version"],
        login=row["login"],
        bucket=row["bucket"],
        account_id=row["account_id"],
        tariff_id=row["tariff_id"],
        currency=row["currency"],
        callerid=row["callerid"],
        max_seconds=row["max_seconds"],
        max_call_seconds=row["max_call_seconds"],
        quota=row["quota"],
        numbering_plan=row["numbering_plan"],
        prepaid=row["prepaid"],
        options=tuple(
            # The driver has infinity as the last moment of all, without a zone.
            SubscriberOption(tariff_id, begins.replace(tzinfo=UTC), ends.replace(tzinfo=UTC))
            for tariff_id, begins, ends in row["options"]
        ),
        aliases=dict(map(tuple, row["aliases"])) if row["aliases"] else NO_ALIASES,
        party_id=row["party_id"],
        calls=AllowedCalls(row["calls"]),
        allow_loss=row["allow_loss"],
        resellers=tuple(Reseller(*reseller) for reseller in row["resellers"] or ()),
        callback_to=row["callback_to"] or "",
        has_destination_list=row["has_destination_list"],
        warn_below=row["warn_below"],
        warn_sound=row["warn_sound"],
        route_plan_id=row["route_plan_id"],
        dynamic_blacklist=BlacklistMode(row["dynamic_blacklist"]),
        score_threshold=row["score_threshold"],
        blacklist_plan_id=row["blacklist_plan_id"],
    )
