"""All 149 entries of the document, by section in its order; tests/conformance compares them with it, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.narayana.declare import Argument, Method, number, text
from rating_engine.api.narayana.declared import (
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
    gsm,
    interface,
    maintenance,
    news,
    prepaid_codes,
    routing,
    sim_cards,
    sip_accounts,
    sms,
    tickets,
    user,
    user_control,
)

SECTIONS: Final[Mapping[str, tuple[Method, ...]]] = {
    "User": user.ENTRIES,
    "Routing": routing.ENTRIES,
    "Directions and tarification": directions.ENTRIES,
    "Call processing": call_processing.ENTRIES,
    "Direct numbers": direct_numbers.ENTRIES,
    "DIDTables Filters": did_filters.ENTRIES,
    "Personal plan sets (aliases)": aliases.ENTRIES,
    "Data security": data_security.ENTRIES,
    "Prepaid codes (invites). New users registration.": prepaid_codes.ENTRIES,
    "SMS": sms.ENTRIES,
    "User control": user_control.ENTRIES,
    "SIP accounts": sip_accounts.ENTRIES,
    "Event log": event_log.ENTRIES,
    "Interface functions": interface.ENTRIES,
    "News and broadcast messages": news.ENTRIES,
    "Ticket system": tickets.ENTRIES,
    "Finances and statistics": finances.ENTRIES,
    "Accounts": accounts.ENTRIES,
    "API access": api_access.ENTRIES,
    "GSM": gsm.ENTRIES,
    "SIM-cards": sim_cards.ENTRIES,
    "Technical maintenance": maintenance.ENTRIES,
}


# What we take beside the document: an exact name of a call, which it lacks.
EXTRAS: Final[Mapping[str, tuple[Argument, ...]]] = {
    "callPrepare": (text("callid"),),
    "callFinish": (text("callid"),),
    "createCallback": (text("callid"),),
    "sendSMS": (text("callid"),),
    "receiveSMS": (text("from"), text("to"), text("text"), text("id")),
    "receiveDeliveryReport": (text("id"), text("status")),
    # Attributes of the User object that can be written, and that no method names.
    "updateExtension": (text("sip_address"), text("sip_host"), text("sip_options"), number("sip_pitch_shift")),
}


def _merged(entries: tuple[Method, ...]) -> dict[str, Method]:
    """By name. An entry that stands twice (updateUser) takes what either names."""
    methods: dict[str, Method] = {}
    for entry in entries:
        before = methods.get(entry.name)
        known = EXTRAS.get(entry.name, ()) if before is None else before.arguments
        names = {argument.name for argument in known}
        more = tuple(argument for argument in entry.arguments if argument.name not in names)
        methods[entry.name] = Method(entry.name, entry.level, (*known, *more))
    return methods


METHODS: Final[Mapping[str, Method]] = _merged(tuple(entry for entries in SECTIONS.values() for entry in entries))
