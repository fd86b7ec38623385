"""Prices by direction and attempt, and the decks that are compiled from them.

Laws: prices and their deck change in one transaction, and one change of however many prices is one version of the deck.
A deck has a row for each prefix of each direction that is priced, and beside them what a deck that was imported before
has for other prefixes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final

import asyncpg

from rating_engine.domain.errors import InvalidRequest, NotFound, Refused
from rating_engine.domain.price_list import PRICES_MAX, BillType, ListedPrice, Price, PriceKey
from rating_engine.storage.decks.deck_columns import AMOUNTS, ROW, listed
from rating_engine.storage.decks.deck_removal import remove_old_decks
from rating_engine.storage.decks.deck_staging import count_of
from rating_engine.storage.decks.rate_edits import copy_whole, drop_scratch, whole_deck
from rating_engine.storage.postgres.connecting import Connection
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

_OF_TARIFF: Final = "SELECT direction, attempt, cost, route_id FROM direction_prices WHERE tariff_id = $1"
_LISTED: Final = """
    SELECT d.direction_id, d.name, p.attempt::integer, p.cost, p.route_id, r.name AS route
    FROM direction_prices p JOIN directions d ON d.code = p.direction JOIN routes r USING (route_id)
    WHERE p.tariff_id = $1 ORDER BY d.direction_id, p.attempt LIMIT $2"""
# Of a deck that was imported: of each direction the dearest minute.
_IMPORTED: Final = """
    SELECT d.direction_id, d.name, 0 AS attempt, max(
               CASE r.price_unit WHEN 'minute' THEN r.price_n ELSE r.price_n * 60 / r.interval_n END) AS cost,
           NULL::bigint AS route_id, '' AS route
    FROM rates r JOIN directions d ON d.code = r.direction
    WHERE r.deck_id = deck_at($1, now()) AND NOT r.blocked AND strpos(r.extras, '"attempts"') = 0
      AND r.effective_from <= now() AND r.effective_to > now()
    GROUP BY 1, 2 ORDER BY 1 LIMIT $2"""
_DELETE: Final = """
    DELETE FROM direction_prices p USING unnest($2::text[], $3::smallint[]) AS gone(direction, attempt)
    WHERE p.tariff_id = $1 AND p.direction = gone.direction AND p.attempt = gone.attempt"""
_INSERT: Final = """
    INSERT INTO direction_prices (tariff_id, direction, attempt, cost, route_id)
    SELECT $1, * FROM unnest($2::text[], $3::smallint[], $4::numeric[], $5::bigint[])"""

_NEW_DECK: Final = """
    INSERT INTO rate_decks (tariff_id, version)
    SELECT $1, 1 + COALESCE(max(version), 0) FROM rate_decks WHERE tariff_id = $1 RETURNING deck_id"""
# A row's own price is that of the first attempt there is; all of them stand in its extras, by which calls go.
_COMPILE: Final = """
    INSERT INTO rates (deck_id, prefix, direction, price_1, price_n, interval_1, interval_n, grace_period, extras)
    SELECT $1, p.prefix, p.direction, priced.cost, priced.cost, $4, $4, $3, priced.extras
    FROM (
        SELECT direction, (array_agg(cost ORDER BY attempt))[1] AS cost,
               json_build_object('attempts', json_agg(
                   json_build_array(attempt, trim_scale(cost)::text, route_id) ORDER BY attempt))::text AS extras
        FROM direction_prices WHERE tariff_id = $2 GROUP BY direction
    ) AS priced JOIN direction_prefixes p USING (direction)"""
_KEEP: Final = f"""
    INSERT INTO rates (deck_id, {listed(ROW)})
    SELECT $1::bigint, {listed(ROW, "base")} FROM rates AS base
    WHERE base.deck_id = $2 AND strpos(base.extras, '"attempts"') = 0
      AND NOT EXISTS (SELECT FROM rates mine WHERE mine.deck_id = $1 AND mine.prefix = base.prefix)"""  # noqa: S608
# The same of another tariff's deck, as it is sold: every price and fee times a factor.
_SOLD: Final = ", ".join(
    f"round(base.{name} * $3::numeric, 8)" if name in AMOUNTS else f"base.{name}" for name in ROW
)  # fmt: skip
_COPY: Final = f"""
    INSERT INTO rates (deck_id, {listed(ROW)})
    SELECT $1::bigint, {_SOLD} FROM rates AS base
    WHERE base.deck_id = $2 AND strpos(base.extras, '"attempts"') = 0
      AND NOT EXISTS (SELECT FROM rates mine WHERE mine.deck_id = $1 AND mine.prefix = base.prefix)"""  # noqa: S608
_IMPORTED_DIRECTIONS: Final = """
    SELECT direction, bool_or(band <> '') AS banded, bool_or(extras <> '') AS has_extras FROM rates
    WHERE deck_id = deck_at($1, now()) AND strpos(extras, '"attempts"') = 0 GROUP BY direction"""
_MARK_UP_KEPT: Final = """
    UPDATE rates SET price_1 = round(price_1 * $2::numeric, 8), price_n = round(price_n * $2::numeric, 8),
                     connect_fee = round(connect_fee * $2::numeric, 8)
    WHERE deck_id = $1 AND strpos(extras, '"attempts"') = 0"""
_PUBLISH: Final = """
    UPDATE rate_decks SET state = 'published', rate_count = $2, published_at = clock_timestamp(),
           effective_from = clock_timestamp(),
           longest_prefix = (SELECT COALESCE(max(length(prefix)), 0) FROM rates WHERE deck_id = $1)
    WHERE deck_id = $1"""


async def load_prices(questions: Questions, tariff_id: int) -> dict[PriceKey, Price]:
    """Every price of a tariff. Errors: Unavailable."""
    rows = await questions.fetch(_OF_TARIFF, tariff_id)
    return {PriceKey(row["direction"], row["attempt"]): Price(row["cost"], row["route_id"]) for row in rows}


async def list_prices(questions: Questions, tariff_id: int) -> list[ListedPrice]:
    """The prices of a tariff by direction and attempt, and those of a deck that was imported. Errors: Unavailable."""
    rows = await questions.fetch(_LISTED, tariff_id, PRICES_MAX)
    rows += await questions.fetch(_IMPORTED, tariff_id, PRICES_MAX)
    return [ListedPrice(**row) for row in rows]


async def write_prices(
    tx: Transaction, tariff_id: int, before: Mapping[PriceKey, Price], after: Mapping[PriceKey, Price]
) -> None:
    """Make the prices of a tariff that is held what they are after a change. Errors: Refused, Unavailable."""
    if len(after) > PRICES_MAX:
        raise Refused(f"a tariff has {PRICES_MAX:,} prices at the most")
    gone = [key for key, price in before.items() if after.get(key) != price]
    come = [(*key, *price) for key, price in after.items() if before.get(key) != price]
    await tx.execute(_DELETE, tariff_id, [key.direction for key in gone], [key.attempt for key in gone])
    if come:
        await tx.execute(_INSERT, tariff_id, *map(list, zip(*come, strict=True)))


async def imported_directions(questions: Questions, tariff_id: int) -> dict[str, tuple[bool, bool]]:
    """Directions of a tariff's imported deck: whether by times of day, and by rarer terms. Errors: Unavailable."""
    rows = await questions.fetch(_IMPORTED_DIRECTIONS, tariff_id)
    return {row["direction"]: (row["banded"], row["has_extras"]) for row in rows}


async def publish(
    tx: Transaction,
    tariff_id: int,
    bill_type: BillType | None,
    *,
    kept_factor: str | None = None,
    copied: tuple[int, Decimal] | None = None,
) -> None:
    """Compile the prices of a tariff that is held into a deck that is in force at once.

    `kept_factor`: what prices are multiplied by that are not by direction, as text. `copied`: a tariff whose imported
    deck comes into it, and the factor by which that is sold. Errors: InvalidRequest (markup, rates).
    """
    connection = tx.connection
    base: int | None = await tx.fetchval("SELECT deck_at($1, clock_timestamp())", tariff_id)
    deck_id: int = await tx.fetchval(_NEW_DECK, tariff_id)
    threshold, step = (0, 1) if bill_type is None else (bill_type.free_threshold, bill_type.step)
    rates = count_of(await tx.execute(_COMPILE, deck_id, tariff_id, threshold, step))
    if copied is not None:
        rates += await _copy_deck(tx, tariff_id, deck_id, *copied)
    if base is not None:
        whole = await whole_deck(connection, base)
        rates += count_of(await tx.execute(_KEEP, deck_id, whole))
        await drop_scratch(connection, base, whole)
    if kept_factor is not None:
        try:
            await tx.execute(_MARK_UP_KEPT, deck_id, kept_factor)
        except asyncpg.NumericValueOutOfRangeError:
            raise InvalidRequest("markup", "makes a price that is above the limit") from None
    await tx.execute(_PUBLISH, deck_id, rates)


async def _copy_deck(tx: Transaction, tariff_id: int, deck_id: int, source_id: int, factor: Decimal) -> int:
    """What another tariff's deck has for prefixes that this one has not; how many rows."""
    source: int | None = await tx.fetchval("SELECT deck_at($1, clock_timestamp())", source_id)
    if source is None:
        return 0
    scratch: int = await tx.fetchval(_NEW_DECK, tariff_id)  # of the tariff that is held, and gone again below
    await copy_whole(tx.connection, scratch, source)
    try:
        copied = count_of(await tx.execute(_COPY, deck_id, scratch, factor))
    except asyncpg.NumericValueOutOfRangeError:
        raise InvalidRequest("rates", "a price would be above the limit") from None
    await drop_scratch(tx.connection, source, scratch)
    return copied


async def drop_old_decks(database: Database, tariff_id: int) -> None:
    """Versions that nobody's calls can be priced by any more leave, some at a time. Errors: Unavailable."""
    async with database.connection() as connection:
        await remove_old_decks(connection, tariff_id)


async def is_priced_by_direction(questions: Questions | Connection, tariff: str) -> bool:
    """Whether a tariff has such prices, by its name. Errors: Unavailable."""
    found = await questions.fetchval(
        "SELECT EXISTS (SELECT FROM tariffs JOIN direction_prices USING (tariff_id) WHERE name = $1)", tariff
    )
    return bool(found)


async def check_routes(questions: Questions, routes: Collection[int]) -> dict[int, int]:
    """Whose routes these are, by their numbers: routes of calls. Errors: NotFound, Unavailable."""
    rows = await questions.fetch(
        "SELECT route_id, owner_id FROM routes WHERE route_id = ANY ($1::bigint[]) AND kind = 'sip'", list(set(routes))
    )
    found = {row["route_id"]: row["owner_id"] for row in rows}
    if unknown := set(routes) - found.keys():
        raise NotFound(f"route {min(unknown)} does not exist, or takes no calls", field="route")
    return found


async def routes_of_tariffs(questions: Questions, tariffs: Collection[str]) -> set[int]:
    """The routes that the prices of tariffs are for, by the tariffs' names. Errors: Unavailable."""
    rows = await questions.fetch(
        "SELECT DISTINCT route_id FROM direction_prices JOIN tariffs USING (tariff_id) WHERE name = ANY ($1::text[])",
        list(tariffs),
    )
    return {row["route_id"] for row in rows}
