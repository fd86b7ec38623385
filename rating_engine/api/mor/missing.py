"""The functions that are answered Access Denied: what they need is not there yet. By section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MISSING_BY_SECTION: Final[Mapping[str, tuple[str, ...]]] = {
    "Callback": ("callback_init",),
    "Calls": ("user_calls_get",),
    "Conflines": ("conflines_update",),
    "Credit notes": (
        "credit_notes_get",
        "credit_note_update",
        "credit_note_create",
        "credit_note_delete",
    ),
    "Device": (
        "device_callflow_get",
        "device_callflow_update",
    ),
    "DID": (
        "dids_get",
        "did_create",
        "did_device_assign",
        "did_device_unassign",
        "did_subscription_stop",
    ),
    "Email": ("email_send",),
    "Financial statements": ("financial_statements_get",),
    "Invoices": ("invoices_get",),
    "Monitorings": ("ma_activate",),
    "Payments": (
        "payment_create",
        "payments_get",
    ),
    "Quickforwards": (
        "quickforwards_dids_get",
        "quickforwards_did_update",
        "quickforwards_did_delete",
    ),
    "Rates": (
        "rate_get",
        "tariff_rates_get",
        "tariff_retail_import",
        "tariff_wholesale_update",
    ),
    "SMS": (
        "sms_send",
        "user_sms_service_subscribe",
    ),
    "User": ("user_details_update",),
    "Resellers": ("reseller_group_create",),
}
MISSING: Final = frozenset(name for names in MISSING_BY_SECTION.values() for name in names)
