"""What the methods do, a module a section."""

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
    did_filters,
    direct_numbers,
    directions,
    event_log,
    finances,
    interface,
    invoices,
    maintenance,
    news,
    prepaid_codes,
    rates,
    routing,
    sim_cards,
    sip_accounts,
    sms,
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
    **invoices.HANDLERS,
    **direct_numbers.HANDLERS,
    **did_filters.HANDLERS,
    **maintenance.HANDLERS,
    **news.HANDLERS,
    **sim_cards.HANDLERS,
    **tickets.HANDLERS,
    **sip_accounts.HANDLERS,
    **sms.HANDLERS,
    **prepaid_codes.HANDLERS,
}
