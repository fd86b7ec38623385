"""What the functions do, a module a section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Handler
from rating_engine.api.mor.functions import (
    balance,
    callback,
    callers,
    callflows,
    calling_cards,
    calls,
    card_groups,
    conflines,
    credit_notes,
    device,
    did,
    email,
    financial_statements,
    invoices,
    login,
    monitorings,
    payments,
    phonebooks,
    quickforwards,
    rates,
    resellers,
    services,
    sms,
    subscriptions,
    user,
    user_changes,
    version,
)

MADE: Final[Mapping[str, Handler]] = {
    **balance.HANDLERS,
    **callback.HANDLERS,
    **callers.HANDLERS,
    **calling_cards.HANDLERS,
    **card_groups.HANDLERS,
    **callflows.HANDLERS,
    **calls.HANDLERS,
    **conflines.HANDLERS,
    **credit_notes.HANDLERS,
    **device.HANDLERS,
    **did.HANDLERS,
    **email.HANDLERS,
    **financial_statements.HANDLERS,
    **invoices.HANDLERS,
    **login.HANDLERS,
    **monitorings.HANDLERS,
    **payments.HANDLERS,
    **phonebooks.HANDLERS,
    **quickforwards.HANDLERS,
    **rates.HANDLERS,
    **resellers.HANDLERS,
    **services.HANDLERS,
    **sms.HANDLERS,
    **subscriptions.HANDLERS,
    **user.HANDLERS,
    **user_changes.HANDLERS,
    **version.HANDLERS,
}
