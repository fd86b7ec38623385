"""Lists in pages: whatever they are ordered by, one item a page shows the same as all at once, each item once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.numbering import Alias
from rating_engine.domain.page import MAX_LIMIT, Cursor, Page
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.tariff_card import Holiday
from rating_engine.engine.services import make_services
from rating_engine.services.catalogue import UseCases
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database
from tests.support import operators
from tests.support.world import add_account, publish_deck


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[UseCases]:
    """A world with a few of everything."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await publish_deck(database)
    tariffs, packages = operators.Tariffs(database), operators.Packages(database)
    for name in ("option b", "option a"):
        await tariffs.add(name, {"is_option": "yes"})
    for login in ("1002", "1001"):
        await add_account(database, login, balance="10")
    services = make_services(Settings.model_validate({"database_url": database_url}), database).of(OPERATOR)
    for number in range(2):
        await services.accounts.top_up("1001", Decimal(1))
        await operators.Routes(database).add(f"carrier{number}", {"position": "7"})
        await packages.add("retail", f"p{number}", minutes=1)
        await packages.set_group(f"group {number}", ["somewhere"])
        await services.numbering.set_alias(Alias(None if number else "1001", "7", "49"))
        await operators.Numbering(database).add(f"plan {number}", {})
        await services.bands.add_holiday(Holiday("de", datetime(2999, 1, 1 + number, tzinfo=UTC).date(), ""))
        ahead = datetime.now(UTC) + timedelta(days=1 + number)
        await services.exchange.set("EUR", "USD", Decimal(2), ahead)
    await services.exchange.set("USD", "EUR", Decimal(2))
    for name in ("option a", "option b"):
        await services.options.grant("1001", name, position=0)
    yield services
    await database.close()


LISTS: dict[str, Callable[[UseCases, Cursor], Awaitable[Page[Any]]]] = {
    "accounts": lambda services, cursor: services.accounts.page(cursor),
    "subscribers": lambda services, cursor: services.accounts.subscribers(cursor),
    "statement": lambda services, cursor: services.accounts.statement("1001", cursor),
    "tariffs": lambda services, cursor: services.tariffs.page(cursor),
    "packages": lambda services, cursor: services.packages.page(cursor),
    "groups": lambda services, cursor: services.packages.groups(cursor),
    "holidays": lambda services, cursor: services.bands.holidays(cursor),
    "options": lambda services, cursor: services.options.page("1001", cursor),
    "exchange": lambda services, cursor: services.exchange.page(cursor),
    "numbering": lambda services, cursor: services.numbering.page(cursor),
    "aliases": lambda services, cursor: services.numbering.aliases(cursor),
    "routes": lambda services, cursor: services.routes.page(cursor),
    "decks": lambda services, cursor: services.decks.page(cursor),
    "versions": lambda services, cursor: services.decks.versions(cursor),
}


async def test_one_item_a_page_is_the_list_and_each_item_once(services):
    for name, list_page in LISTS.items():
        whole = (await list_page(services, Cursor(MAX_LIMIT))).items
        single: list[Any] = []
        after = None
        while True:
            page = await list_page(services, Cursor(1, after))
            single += page.items
            after = page.next
            if after is None:
                break
        assert len(whole) >= 2, name
        assert tuple(single) == whole, name


async def test_what_is_no_cursor_of_a_list_is_refused_by_name(services):
    for name, list_page in LISTS.items():
        with pytest.raises(InvalidRequest) as refused:
            await list_page(services, Cursor(1, "bm9uc2Vuc2U="))
        assert refused.value.field == "after", name
