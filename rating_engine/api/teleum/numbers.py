"""Commands of numbers: those that are connected, and those that can be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.teleum.asked import Answer, Asked, Handler
from rating_engine.api.teleum.commands import LIMIT, START
from rating_engine.api.teleum.forms import money, number_form, series_form
from rating_engine.domain.did import DidState


async def get_connected_numbers(asked: Asked) -> Answer:
    """One's own numbers."""
    return {
        "numbers": [
            {
                "number": did.number,
                "numberform": number_form(did.number),
                "vivaid": str(asked.who),
                "id": str(did.did_id),
            }
            for did in await asked.numbers()
        ]
    }


async def get_rcids(asked: Asked) -> Answer:
    """The numbers that calls may show: one's own that are paid for."""
    own = [did for did in await asked.numbers() if did.state is DidState.ACTIVE]
    return {"rcids": [{"id": str(did.did_id), "numberform": number_form(did.number)} for did in own]}


async def get_numbers_types(asked: Asked) -> Answer:
    """The kinds of numbers."""
    kinds = await asked.use.number_stock.kinds()
    return {"numberTypes": [{"id": str(kind.number), "name": kind.name} for kind in kinds]}


async def get_free_numbers(asked: Asked) -> Answer:
    """Numbers that can be connected, of a region, a kind and a series."""
    values = asked.values
    stock = await asked.use.number_stock.free(
        asked.who, region=values.whole("nr") or 0, kind=values.whole("nt") or 0, series=values.text("serie"),
        start=int(values.text("start") or START), limit=int(values.text("limit") or LIMIT),
    )  # fmt: skip
    return {
        "numbersCount": str(stock.count),
        "numbersSeries": [{"serie": series, "serie_form": series_form(series)} for series in stock.series],
        "freeNumbers": [
            {
                "id": str(each.did_id),
                "number": each.number,
                "numberform": number_form(each.number),
                "ntype": str(each.kind_id),
                "nregion": str(each.region_id),
                "cost": money(each.cost),
            }
            for each in stock.numbers
        ],
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "getConnectedNumbers": get_connected_numbers,
    "getRCIDs": get_rcids,
    "getNumbersTypes": get_numbers_types,
    "getFreeNumbers": get_free_numbers,
}
