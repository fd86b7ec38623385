"""Offers and their groups: rows and lists."""

from __future__ import annotations

from typing import Any, Final

import asyncpg
import orjson

from rating_engine.domain.errors import AlreadyExists, NotFound
from rating_engine.domain.number_stock import Named
from rating_engine.domain.tariff_offer import NewOffer, TariffOffer
from rating_engine.storage.finance.paid_services import SERVICE_COLUMNS, SERVICE_OWNER, service_from_row
from rating_engine.storage.numbers.number_stock import kind_called, region_called
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_OFFERS: Final = f"""
    SELECT f.offer_id, f.group_id, f.name AS offer_name, f.names::text AS names, f.description, f.has_number,
           w.name AS tariff, r.region_id, r.name AS region, k.kind_id, k.name AS number_kind, {SERVICE_COLUMNS}
    FROM tariff_offers f JOIN services v USING (service_id) {SERVICE_OWNER}
    LEFT JOIN tariffs w ON w.tariff_id = f.tariff_id LEFT JOIN number_regions r ON r.region_id = f.region_id
    LEFT JOIN number_kinds k ON k.kind_id = f.kind_id"""  # noqa: S608  constants, as below
_SHOWN: Final = """NOT f.is_removed AND NOT v.is_removed
    AND ($1::bigint IS NULL OR v.is_public AND v.party_id = ANY (parties_above($1)))"""
_LIST: Final = f"{_OFFERS} WHERE {_SHOWN} AND ($2::bigint IS NULL OR f.group_id = $2) ORDER BY f.offer_id LIMIT 1000"
_FIND: Final = f"{_OFFERS} WHERE {_SHOWN} AND f.offer_id = $2"
_OF_SERVICES: Final = f"{_OFFERS} WHERE v.service_id = ANY ($1)"
_GROUPS: Final = f"""
    SELECT g.group_id AS number, g.name FROM tariff_groups g
    WHERE EXISTS (SELECT FROM tariff_offers f JOIN services v USING (service_id)
                  WHERE f.group_id = g.group_id AND {_SHOWN}) ORDER BY 1 LIMIT 1000"""  # noqa: S608
_SUBSCRIPTIONS: Final = """
    SELECT count(*) FROM service_subscriptions
    WHERE service_id = $1 AND party_id = $2 AND did IS NOT DISTINCT FROM $3"""
_ADD_GROUP: Final = "INSERT INTO tariff_groups (name) VALUES ($1) ON CONFLICT (name) DO NOTHING"
_GROUP: Final = "SELECT group_id FROM tariff_groups WHERE name = $1"
_TARIFF: Final = "SELECT tariff_id FROM tariffs WHERE name = $1 AND NOT is_option"
_ADD: Final = """
    INSERT INTO tariff_offers (group_id, service_id, tariff_id, name, names, description, has_number, region_id,
                               kind_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (service_id) DO NOTHING RETURNING offer_id"""
_AGAIN: Final = """
    UPDATE tariff_offers SET group_id = $1, tariff_id = $3, name = $4, names = $5, description = $6, has_number = $7,
           region_id = $8, kind_id = $9, is_removed = false WHERE service_id = $2 AND is_removed RETURNING offer_id"""
_REMOVE: Final = "UPDATE tariff_offers SET is_removed = true WHERE offer_id = $1 AND NOT is_removed RETURNING offer_id"


async def list_groups(questions: Questions, viewer: int | None) -> list[Named]:
    """Groups that have something for a party, None: that have anything. Errors: Unavailable."""
    return [Named(**row) for row in await questions.fetch(_GROUPS, viewer)]


async def list_offers(questions: Questions, viewer: int | None, group: int | None) -> list[TariffOffer]:
    """Offers that a party may take (None: all), of a group or of all. Errors: Unavailable."""
    return [_offer(row) for row in await questions.fetch(_LIST, viewer, group)]


async def find_offer(questions: Questions, viewer: int | None, offer_id: int) -> TariffOffer:
    """One that a party may take. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, viewer, offer_id)
    if row is None:
        raise NotFound(f"there is no offer {offer_id}", field="offer")
    return _offer(row)


async def offers_of_services(questions: Questions, services: list[int]) -> dict[int, TariffOffer]:
    """The offers of services, those that are no longer made too, by the service. Errors: Unavailable."""
    found = [_offer(row) for row in await questions.fetch(_OF_SERVICES, services)]
    return {each.service.service_id: each for each in found}


async def count_subscriptions(questions: Questions, service_id: int, party_id: int, number: str | None) -> int:
    """How often a party has taken a service for a number, or for none, up to now. Errors: Unavailable."""
    return int(await questions.fetchval(_SUBSCRIPTIONS, service_id, party_id, number))


async def add_offer(tx: Transaction, new: NewOffer) -> int:
    """Its number. Errors: AlreadyExists (the service is offered), NotFound (the tariff), Unavailable."""
    await tx.execute(_ADD_GROUP, new.group)
    tariff_id = None if new.tariff is None else await tx.fetchval(_TARIFF, new.tariff)
    if new.tariff is not None and tariff_id is None:
        raise NotFound(f"tariff {new.tariff!r} does not exist", field="tariff")
    values: list[Any] = [
        await tx.fetchval(_GROUP, new.group), new.service_id, tariff_id, new.name, orjson.dumps(new.names).decode(),
        new.description, new.has_number, await region_called(tx, new.region), await kind_called(tx, new.kind),
    ]  # fmt: skip
    offer_id = await tx.fetchval(_ADD, *values) or await tx.fetchval(_AGAIN, *values)
    if offer_id is None:
        raise AlreadyExists(f"service {new.service_id} is offered already", field="service")
    return int(offer_id)


async def remove_offer(tx: Transaction, offer_id: int) -> None:
    """Offer it to nobody more. Errors: NotFound, Unavailable."""
    if await tx.fetchval(_REMOVE, offer_id) is None:
        raise NotFound(f"there is no offer {offer_id}", field="offer")


def _offer(row: asyncpg.Record) -> TariffOffer:
    region, kind = row["region_id"], row["kind_id"]
    return TariffOffer(
        row["offer_id"],
        row["group_id"],
        service_from_row(row),
        row["tariff"],
        row["offer_name"],
        orjson.loads(row["names"]),
        row["description"],
        row["has_number"],
        None if region is None else Named(region, row["region"]),
        None if kind is None else Named(kind, row["number_kind"]),
    )
