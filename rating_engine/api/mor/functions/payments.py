"""The section Payments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import BAD_LOGIN, Failed
from rating_engine.api.mor.named import user_called, user_of
from rating_engine.api.mor.xml import Element, element, listed, page
from rating_engine.domain.errors import NotAllowed, RatingEngineError
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.payment import MANUAL, NewPayment, Payment, PaymentFilter, PaymentState

NOT_SAVED: Final = "Payment was not saved"


async def payment_create(asked: Asked) -> Element:
    """A payment that somebody has seen: it is in the account; a transaction posts once."""
    user = await user_of(asked, error=BAD_LOGIN)
    currency = asked.needed("p_currency", "No currency").upper()
    if currency not in {each.code for each in await asked.use.currencies.known()}:
        raise Failed("No currency")
    amount = asked.amount("amount", NOT_SAVED)
    if amount is None:
        raise Failed(NOT_SAVED)
    try:
        new = NewPayment(
            user.party_id,
            amount,
            currency,
            method=MANUAL,
            kind=asked.text("paymenttype").strip(),
            transaction=asked.text("transaction").strip(),
            tax_included=asked.flag("tax_in_amount", NOT_SAVED) or False,
            payer=asked.text("payer_email").strip(),
            comment=asked.text("comments_for_user"),
        )
        made = await asked.use.payments.create(new)
        paid = await asked.use.payments.confirm(made.payment_id)
    except RatingEngineError as error:
        if error.retryable or isinstance(error, NotAllowed):
            raise
        raise Failed(NOT_SAVED, str(error)) from None
    fields = (
        ("payment_id", paid.payment_id), ("tax", stored(paid.tax)), ("amount", stored(paid.amount)),
        ("gross", stored(paid.gross)),
    )  # fmt: skip
    return page(element("response", element("status", "ok"), listed("payment", fields, currency=paid.currency)))


async def payments_get(asked: Asked) -> Element:
    """Those that fit all that is sent, the newest first. Cards are paid for otherwise: none has a number or a PIN."""

    def text(name: str) -> str | None:
        return asked.text(name).strip() or None

    completed = asked.flag("s_completed", BAD_LOGIN) if text("s_completed") else None
    states = {None: None, True: PaymentState.CONFIRMED, False: PaymentState.PENDING}
    currency = text("s_currency")
    wanted = PaymentFilter(
        user=await _user(asked),
        since=asked.moment("s_from", BAD_LOGIN),
        until=asked.moment("s_till", BAD_LOGIN),
        transaction=text("s_transaction"),
        least=asked.amount("s_amount_min", BAD_LOGIN),
        most=asked.amount("s_amount_max", BAD_LOGIN),
        currency=None if currency is None else currency.upper(),
        state=states[completed],
        kind=text("s_paymenttype"),
        first_name=text("s_first_name"),
        last_name=text("s_last_name"),
    )
    is_of_card = text("s_number") or text("s_pin")
    found = [] if is_of_card else (await asked.use.payments.page(wanted, Cursor(MAX_LIMIT))).items
    return page(element("pagename", "Payments_list"), element("payments", *(_listed(asked, each) for each in found)))


async def _user(asked: Asked) -> int | None:
    """Whose: by number or user name; None: of all that the asker may see."""
    if asked.text("s_user_id").strip():
        return (await user_of(asked, "s_user_id", BAD_LOGIN)).party_id
    name = asked.text("s_username").strip()
    return (await user_called(asked, name, BAD_LOGIN)).party_id if name else None


def _listed(asked: Asked, payment: Payment) -> Element:
    return listed("payment", (
        ("user", payment.login),
        ("payer", payment.payer),
        ("transaction_id", payment.transaction),
        ("date", asked.shown(payment.created_at)),
        ("confirm_date", asked.shown(payment.confirmed_at)),
        ("type", payment.kind or payment.method),
        ("amount", stored(payment.amount)),
        ("fee", stored(payment.commission)),
        ("amount_with_tax", stored(payment.gross)),
        ("currency", payment.currency),
        ("completed", int(payment.state is PaymentState.CONFIRMED)),
        ("payment_id", payment.payment_id),
        ("user_id", payment.party_id),
        ("comment", payment.comment),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {"payment_create": payment_create, "payments_get": payments_get}
