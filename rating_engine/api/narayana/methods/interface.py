"""Section Interface functions: currencies and what they are in the system's. Anybody may ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.answer import money
from rating_engine.api.narayana.asked import Answer, Asked, Handler


async def get_course(asked: Asked) -> Answer:
    """One currency. Its course is null where nobody said it."""
    found = await asked.use.currencies.show(asked.values.needed_text("currency").upper())
    return {
        "eur_course": found.course,
        "currency": found.code,
        "displayname": found.sign,
        "transfer_fee": money(found.transfer_fee),
        "referral_reward": money(found.referral_reward),
    }


async def get_currencies(asked: Asked) -> Answer:
    """All that are switched on, the system's first."""
    found: list[dict[str, Any]] = [
        {"eur_course": each.course, "currency": each.code, "displayname": each.sign}
        for each in await asked.use.currencies.known()
    ]
    return found


HANDLERS: Final[Mapping[str, Handler]] = {"getCourse": get_course, "getCurrencies": get_currencies}
