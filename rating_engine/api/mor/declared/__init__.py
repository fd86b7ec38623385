"""All 73 functions, by section in the order of the index; tests/conformance compares them with it, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.declare import Function
from rating_engine.api.mor.declared import (
    balance,
    callback,
    calling_cards,
    calls,
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
    version,
)

SECTIONS: Final[Mapping[str, tuple[Function, ...]]] = {
    "Balance": balance.ENTRIES,
    "Callback": callback.ENTRIES,
    "Calling Cards": calling_cards.ENTRIES,
    "Calls": calls.ENTRIES,
    "Conflines": conflines.ENTRIES,
    "Credit notes": credit_notes.ENTRIES,
    "Device": device.ENTRIES,
    "DID": did.ENTRIES,
    "Email": email.ENTRIES,
    "Financial statements": financial_statements.ENTRIES,
    "Invoices": invoices.ENTRIES,
    "Login": login.ENTRIES,
    "Monitorings": monitorings.ENTRIES,
    "Payments": payments.ENTRIES,
    "Phonebooks": phonebooks.ENTRIES,
    "Quickforwards": quickforwards.ENTRIES,
    "Rates": rates.ENTRIES,
    "Services": services.ENTRIES,
    "SMS": sms.ENTRIES,
    "Subscriptions": subscriptions.ENTRIES,
    "User": user.ENTRIES,
    "Resellers": resellers.ENTRIES,
    "Version": version.ENTRIES,
}

FUNCTIONS: Final[Mapping[str, Function]] = {each.name: each for entries in SECTIONS.values() for each in entries}
# By every name that it answers to.
NAMED: Final[Mapping[str, Function]] = {
    **{older: each for each in FUNCTIONS.values() for older in each.older},
    **FUNCTIONS,
}
