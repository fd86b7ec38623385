"""The section Rates."""

from __future__ import annotations

import asyncio
import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.money import in_system_currency
from rating_engine.api.mor.named import user_called, user_of
from rating_engine.api.mor.xml import Element, NotXml, done, element, listed, page, read
from rating_engine.domain.deck import DeckRate
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours, RatingEngineError
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.price_list import PriceList, PriceListChanges
from rating_engine.domain.tariff_card import TariffChanges
from rating_engine.services.decks.options import DeckFileOptions

NO_RATE: Final = "Rate was not found"
NO_TARIFF: Final = "No tariff found"
MAX_ROWS: Final = 100_000  # of an import: 8 MB of XML have fewer
# What a rate of an import has, by the column of a deck file; tariff_rates_get answers the same names.
COLUMNS: Final[Mapping[str, str]] = {
    "prefix": "prefix", "destination": "direction", "tariff_rate": "price", "con_fee": "connect_fee",
    "min_time": "interval_1", "increment": "interval_n",
}  # fmt: skip


async def rate_get(asked: Asked) -> Element:
    """What a minute costs a user: price#destination#prefix. The very prefix, or (by_full_dst) the longest one."""
    prefix = asked.text("prefix").strip()
    user = await user_called(asked, asked.text("username").strip() or asked.who)
    line = await asked.use.accounts.line(user.party_id)
    if line is None or not prefix.isascii() or not prefix.isdigit():
        raise Failed(NO_RATE)
    quote = await asked.use.line_quotes.quote(line.login, f"+{prefix}")
    by_longest = asked.text("by_full_dst").strip() == "1"
    if quote.first_minute is None or not (by_longest or quote.prefix == prefix):
        raise Failed(NO_RATE)
    price = await in_system_currency(asked, quote.first_minute, quote.currency, NO_RATE)
    return page(element("rate", f"{stored(price)}#{quote.direction}#{quote.prefix}"))


async def tariff_rates_get(asked: Asked) -> Element:
    """All rates of a tariff in force: a named one, a user's, or the asker's own."""
    tariff = await _wanted(asked)
    rates = await asked.use.price_lists.rates(tariff.tariff_id)
    listed_rates = await asyncio.to_thread(lambda: element("rates", *map(_listed, rates)))
    return page(
        element("pagename", "Tariff"),
        element("tariff_name", tariff.title),
        element("currency", tariff.currency),
        listed_rates,
    )


async def tariff_wholesale_update(asked: Asked) -> Element:
    """A tariff without rates, or another name for one."""
    number, name = asked.whole("id", "Tariff not found"), asked.text("name").strip()
    try:
        if number:
            await asked.use.price_lists.change(number, PriceListChanges(name=name))
            return page(element("response", element("status", "ok")))
        currency = asked.text("currency").strip().upper()
        if asked.asking.sees_all and currency:
            await asked.use.tariffs.add(name, TariffChanges(currency=currency))
            made = next(each for each in await _lists(asked) if each.name == name)
        else:
            made = await asked.use.price_lists.add(PriceListChanges(name=name))
    except (NotFound, NotYours):
        raise Failed("Tariff not found") from None
    except (InvalidRequest, AlreadyExists) as error:
        return page(element("response", element("error", element("message", str(error)))))
    return page(element("response", element("status", "ok"), element("tariff_id", str(made.tariff_id))))


async def tariff_retail_import(asked: Asked) -> Element:
    """A new version of a tariff's deck from XML of the form that tariff_rates_get answers, published whole."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "deck.csv")
            name, currency = await asyncio.to_thread(_write, file, asked.text("xml"))
            trial = await asked.use.decks.import_file(
                file, name, currency=currency, options=DeckFileOptions(dry_run=True)
            )
            if trial.rejected:
                raise Failed(ACCESS_DENIED, f"{trial.rejected} rates cannot be read")
            await asked.use.decks.import_file(file, name, currency=currency)
    except NotXml as error:
        raise Failed(ACCESS_DENIED, str(error)) from None
    except NotAllowed:
        raise
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed(ACCESS_DENIED, str(error)) from None
    return done("Tariff successfully imported")


def _write(file: Path, document: str) -> tuple[str, str | None]:
    """The rates of a document as a deck file; tariff and currency. Raises Failed, NotXml."""
    root = read(document)
    name = (root.findtext(".//tariff_name") or "").strip()
    rates = root.findall(".//rates/rate")
    if not name or not rates or len(rates) > MAX_ROWS:
        raise Failed(ACCESS_DENIED)
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(COLUMNS.values())
        writer.writerows([(rate.findtext(tag) or "").strip() for tag in COLUMNS] for rate in rates)
    return name, (root.findtext(".//currency") or "").strip().upper() or None


async def _wanted(asked: Asked) -> PriceList:
    number = asked.whole("tariff_id", NO_TARIFF)
    if number is None:
        user = await user_of(asked, error=NO_TARIFF) if asked.text("user_id").strip() else None
        party = user or await user_called(asked, asked.who, NO_TARIFF)
        number = party.tariff_id or await _of_line(asked, party.party_id)
    if number is None:
        raise Failed(NO_TARIFF)
    try:
        return await asked.use.price_lists.show(number)
    except (NotFound, NotYours):
        raise Failed(NO_TARIFF) from None


async def _of_line(asked: Asked, who: int) -> int | None:
    """The tariff of a user's first line, where the user has none of its own."""
    line = await asked.use.accounts.line(who)
    return (
        None
        if line is None
        else next((each.tariff_id for each in await _lists(asked) if each.name == line.tariff), None)
    )


async def _lists(asked: Asked) -> list[PriceList]:
    found: list[PriceList] = []
    cursor = Cursor(MAX_LIMIT)
    while True:
        part = await asked.use.price_lists.page(cursor)
        found += part.items
        if part.next is None:
            return found
        cursor = Cursor(MAX_LIMIT, part.next)


def _listed(rate: DeckRate) -> Element:
    return listed("rate", (
        ("direction", rate.direction),
        ("destination", rate.name),
        ("prefix", rate.prefix),
        ("subcode", ""),
        ("code", rate.direction),
        ("tariff_rate", stored(rate.per_minute)),
        ("con_fee", stored(rate.connect_fee)),
        ("increment", rate.interval_n),
        ("min_time", rate.interval_1),
        ("start_time", "00:00:00"),
        ("end_time", "23:59:59"),
        ("daytype", rate.band),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "rate_get": rate_get,
    "tariff_rates_get": tariff_rates_get,
    "tariff_wholesale_update": tariff_wholesale_update,
    "tariff_retail_import": tariff_retail_import,
}
