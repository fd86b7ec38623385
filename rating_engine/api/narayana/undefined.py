"""The methods that are answered E_UNDEFINED_INSTRUCTION: what they need is not there yet. By section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

UNDEFINED_BY_SECTION: Final[Mapping[str, tuple[str, ...]]] = {
    "Finances and statistics": (
        "getPaymentMethods",
        "finishInvoice",
        "createInvoice",
        "generateInvoice",
        "monthlyInvoice",
        "getInvoices",
        "getInvoiceInfo",
        "viewInvoice",
        "deleteInvoice",
    ),
}
UNDEFINED: Final = frozenset(name for names in UNDEFINED_BY_SECTION.values() for name in names)
