"""The section Financial statements."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import BAD_LOGIN, Failed
from rating_engine.api.mor.named import user_of
from rating_engine.api.mor.xml import Element, element, listed, page
from rating_engine.domain.errors import InvalidRequest


async def financial_statements_get(asked: Asked) -> Element:
    """Invoices, credit notes and payments of a time, paid and not, in the system's currency."""
    user = (await user_of(asked, error=BAD_LOGIN)).party_id if asked.text("user_id").strip() else None
    since, until = asked.moment("date_from", BAD_LOGIN), asked.moment("date_till", BAD_LOGIN)
    if since is None or until is None:
        raise Failed(BAD_LOGIN)
    status = asked.text("status").strip().lower()
    if status not in ("", "all", "paid", "unpaid"):
        raise Failed(BAD_LOGIN)
    try:
        lines = await asked.use.statements.of(since, min(until, datetime.now(UTC)), user)
    except InvalidRequest:
        lines = []
    shown = [line for line in lines if status in ("", "all") or line.paid is (status == "paid")]
    statements = [
        listed("statement", (
            ("status", "paid" if line.paid else "unpaid"), ("count", line.count), ("price", stored(line.price)),
            ("price_with_vat", stored(line.price_with_tax)),
        ), type=line.kind)
        for line in shown
    ]  # fmt: skip
    currency = (await asked.use.currencies.converter()).system
    return page(element("financial_statement", *statements, currency=currency))


HANDLERS: Final[Mapping[str, Handler]] = {"financial_statements_get": financial_statements_get}
