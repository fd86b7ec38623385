"""What the methods do, a module a section; one that is in none of them stands in `undefined`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.narayana.asked import Handler
from rating_engine.api.narayana.methods import (
    accounts,
    aliases,
    api_access,
    call_processing,
    data_security,
    directions,
    event_log,
    finances,
    interface,
    maintenance,
    news,
    prepaid_codes,
    rates,
    routing,
    sip_accounts,
    tickets,
    user,
)

MADE: Final[Mapping[str, Handler]] = {
    **api_access.HANDLERS,
    **data_security.HANDLERS,
    **call_processing.HANDLERS,
    **user.HANDLERS,
    **accounts.HANDLERS,
    **event_log.HANDLERS,
    **directions.HANDLERS,
    **rates.HANDLERS,
    **routing.HANDLERS,
    **interface.HANDLERS,
    **aliases.HANDLERS,
    **finances.HANDLERS,
    **maintenance.HANDLERS,
    **news.HANDLERS,
    **tickets.HANDLERS,
    **sip_accounts.HANDLERS,
    **prepaid_codes.HANDLERS,
}
