"""What the functions do, a module a section; one that is in none of them stands in `missing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Handler
from rating_engine.api.mor.functions import (
    balance,
    callers,
    calling_cards,
    card_groups,
    device,
    did,
    login,
    phonebooks,
    services,
    subscriptions,
    user,
    version,
)

MADE: Final[Mapping[str, Handler]] = {
    **balance.HANDLERS,
    **callers.HANDLERS,
    **calling_cards.HANDLERS,
    **card_groups.HANDLERS,
    **device.HANDLERS,
    **did.HANDLERS,
    **login.HANDLERS,
    **phonebooks.HANDLERS,
    **services.HANDLERS,
    **subscriptions.HANDLERS,
    **user.HANDLERS,
    **version.HANDLERS,
}
