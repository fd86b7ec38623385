"""The functions that are answered Access Denied: what they need is not there yet. By section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MISSING_BY_SECTION: Final[Mapping[str, tuple[str, ...]]] = {
    "Calling Cards": (
        "card_by_cli_update",
        "card_from_group_sell",
        "card_group_get",
        "card_balance_get",
        "card_payment_add",
        "calling_cards_create",
        "calling_card_update",
        "calling_cards_get",
        "cc_group_create",
        "cc_group_update",
        "cc_groups_get",
    ),
    "Monitorings": ("ma_activate",),
}
MISSING: Final = frozenset(name for names in MISSING_BY_SECTION.values() for name in names)
