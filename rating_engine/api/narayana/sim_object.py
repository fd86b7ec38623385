"""A SIM card as getSIMList answers it, and getInfo one's own."""

from __future__ import annotations

from typing import Any

from rating_engine.api.narayana.answer import date
from rating_engine.domain.sim_card import SimCard


def sim_fields(card: SimCard) -> dict[str, Any]:
    """One of them, by the names of the document."""
    return {
        "allow_direct_sms": str(int(card.allow_direct_sms)),
        "msisdn": card.msisdn,
        "owner": card.owner or "",
        "lastnetworkdate": "" if card.last_network_at is None else date(card.last_network_at),
        "iccid": card.iccid,
        "puk1": card.puk1,
        "puk2": card.puk2,
        "callback_cid": card.callback_cid,
        "sip_extension": card.line,
        "provider": card.provider,
        "enabled": str(int(card.enabled)),
        "lastnetwork": card.last_network,
    }
