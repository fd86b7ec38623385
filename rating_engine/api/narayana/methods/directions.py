"""Section Directions and tarification, first part: the directory, and what calls to its directions cost.

A price is of a minute, in the system's currency; the tariff's bill type says by which steps a call is counted. What is
shown has the tariff's multiplier in it, as a call has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from rating_engine.api.narayana.arguments import Values, plain_name, read_arguments
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.declared import METHODS
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.shown_money import ShownMoney, shown_money
from rating_engine.domain.price_list import ListedPrice, PriceChange, PriceList
from rating_engine.rating.money import EXACT

DIRECTIONS_MOST: Final = 50_000  # of one answer: a whole directory is some thousand directions, and their prefixes more
_WHOLE_CODE: Final = 15  # digits that every reader of JSON keeps as a number


async def resolve_direction(asked: Asked) -> Answer:
    """The direction of a number: its name, its number, or the longest code that the number begins with."""
    found = await asked.use.directions.resolve(asked.values.needed_text("number"))
    match asked.values.needed_text("select"):
        case "id":
            return str(found.direction_id)
        case "code":
            return found.code
        case _:
            return found.name


async def get_directions(asked: Asked) -> Answer:
    """Each direction once, with its first code; `distinct` false: each code."""
    use = asked.use.directions
    found = await whole_list(use.page if asked.values.flag("distinct") else use.prefixes, DIRECTIONS_MOST)
    return [
        {
            "code": int(each.code) if len(each.code) <= _WHOLE_CODE and each.code[0] != "0" else each.code,
            "id": each.direction_id,
            "direction": each.name,
            "min_len": each.min_len,
            "max_len": each.max_len,
        }
        for each in found
    ]


async def get_rates(asked: Asked) -> Answer:
    """The prices of a tariff that the asker may see."""
    return await _priced(asked, asked.values.needed_whole("id"), await shown_money(asked))


async def get_current_rates(asked: Asked) -> Answer:
    """The prices that the asker's calls have; where nobody is named, those of the first tariff that is public."""
    shown = await shown_money(asked, asked.values.needed_text("currency").upper())
    await asked.use.currencies.show(shown.currency)  # that there is such a one
    own = await _own_tariff(asked)
    return await _priced(asked, await _public_tariff(asked) if own is None else own, shown)


async def add_direction(asked: Asked) -> Answer:
    """One more price: from the next call on there is that attempt."""
    await asked.use.direction_prices.add(asked.values.needed_whole("rates"), _change(asked.values, "priority"))
    return True


async def update_direction(asked: Asked) -> Answer:
    """One price: another cost, another route, another priority."""
    await asked.use.direction_prices.change(asked.values.needed_whole("rates"), [_moved(asked.values)])
    return True


async def update_directions(asked: Asked) -> Answer:
    """Many prices, all or none."""
    changes = [_moved(each) for each in _entries(asked.values.needed_text("directions"))]
    if not changes:
        raise Failure(Code.E_DATA_ABORT, "directions: is an empty list")
    await asked.use.direction_prices.change(asked.values.needed_whole("rates"), changes)
    return True


async def delete_direction(asked: Asked) -> Answer:
    """A price goes: that attempt has no route any more."""
    values = asked.values
    change = _change(values, "prior")
    await asked.use.direction_prices.remove(values.needed_whole("rates"), change.direction_id, change.attempt)
    return True


async def update_markup(asked: Asked) -> Answer:
    """Every price times a factor."""
    markup = asked.values.number("markup")
    assert markup is not None
    await asked.use.direction_prices.mark_up(asked.values.needed_whole("rates"), markup)
    return True


async def copy_directions(asked: Asked) -> Answer:
    """What the asker's own tariff has, as it is sold to it, into another one."""
    await asked.use.direction_prices.copy(asked.values.needed_whole("rates"), await _own_tariff(asked))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "resolveDirection": resolve_direction,
    "getDirections": get_directions,
    "getRates": get_rates,
    "getCurrentRates": get_current_rates,
    "addDirection": add_direction,
    "updateDirection": update_direction,
    "updateDirections": update_directions,
    "deleteDirection": delete_direction,
    "updateMarkup": update_markup,
    "copyDirections": copy_directions,
}


async def _own_tariff(asked: Asked) -> int | None:
    """The number of the tariff of the asker's line, else of the asker; None: it has none."""
    if asked.asking.party_id is None:
        return None
    line = await asked.main_line()
    name = (await asked.user()).tariff if line is None else line.tariff
    lists = [] if name is None else await whole_list(asked.use.price_lists.page)
    return next((each.tariff_id for each in lists if each.name == name), None)


async def _public_tariff(asked: Asked) -> int:
    """The first that is offered to all. Raises Failure (E_NOT_EXIST)."""
    offered = await whole_list(partial(asked.use.price_lists.page, public=True, option=False))
    if not offered:
        raise Failure(Code.E_NOT_EXIST, "the user has no tariff, and none is public")
    return offered[0].tariff_id


async def _priced(asked: Asked, tariff_id: int, shown: ShownMoney) -> Answer:
    tariff, prices = await asked.use.direction_prices.prices(tariff_id)
    directions: dict[str, dict[str, Any]] = {}
    for each in prices:
        entry = directions.setdefault(str(each.direction_id), {str(each.direction_id): each.name, "routing": []})
        entry["routing"].append(_routing(tariff, each, shown))
    return list(directions.values())


def _routing(tariff: PriceList, price: ListedPrice, shown: ShownMoney) -> dict[str, Any]:
    """One price. Of a deck that was imported any route, whose number and name are empty, at any priority."""
    sold = EXACT.multiply(price.cost, tariff.multiplier)
    return {
        "routename": price.route,
        "route": price.route_id,
        "displaycost": shown.displayed(sold, tariff.currency),
        "priority": price.attempt or 1,
        "cost": shown.in_system(sold, tariff.currency),
    }


def _change(values: Values, attempt: str) -> PriceChange:
    return PriceChange(
        direction_id=values.needed_whole("direction"),
        attempt=values.needed_whole(attempt),
        cost=values.number("cost") if values.has("cost") else None,
        route_id=values.whole("route") if values.has("route") else None,
    )


def _moved(values: Values) -> PriceChange:
    change = _change(values, "prior")
    return PriceChange(change.direction_id, change.attempt, change.cost, change.route_id, values.whole("priority"))


def _entries(text: str) -> Sequence[Values]:
    """The JSON list of updateDirections: objects with the arguments of updateDirection but `rates`."""
    try:
        found = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise Failure(Code.E_INVALID_ARGUMENT, "directions: is not JSON") from None
    if not isinstance(found, list):
        raise Failure(Code.E_INVALID_ARGUMENT, "directions: is no list")
    return [_entry(place, each) for place, each in enumerate(found, start=1)]


def _entry(place: int, said: object) -> Values:
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values() if value is not None):
        raise Failure(Code.E_INVALID_ARGUMENT, f"directions: entry {place} is no object of numbers")
    given = {plain_name(name): value for name, value in said.items() if value is not None}
    try:
        return read_arguments(METHODS["updateDirection"], {**given, "rates": "0"})
    except Failure as failure:
        raise Failure(failure.code, f"directions: entry {place}: {failure.description}") from None
