"""What the functions do, a module a section; one that is in none of them stands in `missing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Handler
from rating_engine.api.mor.functions import (
    balance,
    callback,
    callers,
    conflines,
    credit_notes,
    device,
    did,
    financial_statements,
    invoices,
    login,
    payments,
    phonebooks,
    resellers,
    services,
    subscriptions,
    user,
    version,
)

MADE: Final[Mapping[str, Handler]] = {
    **balance.HANDLERS,
    **callback.HANDLERS,
    **callers.HANDLERS,
    **conflines.HANDLERS,
    **credit_notes.HANDLERS,
    **device.HANDLERS,
    **did.HANDLERS,
    **financial_statements.HANDLERS,
    **invoices.HANDLERS,
    **login.HANDLERS,
    **payments.HANDLERS,
    **phonebooks.HANDLERS,
    **resellers.HANDLERS,
    **services.HANDLERS,
    **subscriptions.HANDLERS,
    **user.HANDLERS,
    **version.HANDLERS,
}
