"""What messages cost by tariffs, as who owns a tariff sets it. A price counts from the next message on."""

from __future__ import annotations

import re
from typing import Final

from rating_engine.domain.checks import check_amount
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.message import MessageKind, MessagePrice
from rating_engine.domain.page import Cursor, Page, page_of
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.messages import prices as store
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.price_lists import hold_price_list

PRICED: Final = (MessageKind.SMS, MessageKind.HLR)
_PREFIX: Final = re.compile("[0-9]{0,32}")


class MessagePrices:
    """What one principal does with prices of messages, of a tariff by its number."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def set(self, tariff_id: int, price: MessagePrice) -> None:
        """A price for a prefix. Errors: InvalidRequest naming the field, NotFound (the tariff), Unavailable."""
        _check_place(price.kind, price.prefix)
        check_amount(price.price, "price")
        async with self._database.transaction(self._principal) as tx:
            tariff = await hold_price_list(tx, tariff_id)
            await store.set_price(tx, tariff_id, price)
            await record(
                tx, "message_price.set", tariff.name, {"kind": price.kind, "prefix": price.prefix, "price": price.price}
            )

    async def remove(self, tariff_id: int, kind: MessageKind, prefix: str) -> None:
        """No price for a prefix any more. Errors: InvalidRequest, NotFound (the tariff, the price), Unavailable."""
        _check_place(kind, prefix)
        async with self._database.transaction(self._principal) as tx:
            tariff = await hold_price_list(tx, tariff_id)
            await store.remove_price(tx, tariff_id, kind, prefix)
            await record(tx, "message_price.remove", tariff.name, {"kind": kind, "prefix": prefix})

    async def tariff_named(self, name: str) -> int:
        """The number of a tariff. Errors: NotFound, Unavailable."""
        return await store.tariff_named(self._database, name)

    async def page(self, tariff_id: int, cursor: Cursor) -> Page[MessagePrice]:
        """By kind and prefix. Errors: InvalidRequest (after), Unavailable."""
        kind, prefix = cursor.position(str, str)
        found = await store.prices_of(self._database, tariff_id, (kind, prefix), cursor.rows)
        return page_of(found, cursor, lambda price: (price.kind.value, price.prefix))


def _check_place(kind: MessageKind, prefix: str) -> None:
    if kind not in PRICED:
        raise InvalidRequest("kind", f"is one of {', '.join(PRICED)}")
    if not _PREFIX.fullmatch(prefix):
        raise InvalidRequest("prefix", "must be at most 32 digits; empty: every number")
