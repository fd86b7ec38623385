"""`rating-engine payment`, `credit-note`: money from outside, confirmed once; money that is given back."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.credit_note import CreditNote, CreditNoteFilter, CreditNoteState, NewCreditNote
from rating_engine.domain.papers import written
from rating_engine.domain.payment import MANUAL, NewPayment, Payment, PaymentFilter, PaymentState
from rating_engine.services.catalogue import UseCases

payments_app = typer.Typer(no_args_is_help=True, help="Payments: money from outside; confirmed, it tops an account up.")
credit_notes_app = typer.Typer(no_args_is_help=True, help="Credit notes: money that a user is given back.")

User = Annotated[str, typer.Argument(metavar="USER", help="Whose own account it is for.")]
PaymentNumber = Annotated[int, typer.Argument(metavar="PAYMENT", help="Its number in `payment list`.")]
NoteNumber = Annotated[int, typer.Argument(metavar="NOTE", help="Its number in `credit-note list`.")]
UserOption = Annotated[str | None, typer.Option(metavar="USER", help="Of a user and all below it.")]


@payments_app.command(epilog="Example: rating-engine payment add anna 50 --transaction 4711 --confirm")
def add(
    user: User,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Without tax, unless --tax-included.")],
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="The account's if not given.")] = None,
    method: Annotated[str, typer.Option(metavar="NAME", help="By what it comes.")] = MANUAL,
    transaction: Annotated[str, typer.Option(metavar="TEXT", help="Its number there: kept once.")] = "",
    invoice: Annotated[int | None, typer.Option(metavar="INVOICE", help="What is paid by it.")] = None,
    payer: Annotated[str, typer.Option(metavar="TEXT", help="Who pays.")] = "",
    comment: Annotated[str, typer.Option(metavar="TEXT", help="For who reads the list.")] = "",
    tax_included: Annotated[bool, typer.Option("--tax-included", help="The user's tax is in the amount.")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="The money is there: top the account up.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Note a payment; it waits until it is confirmed. The same transaction again is the same payment."""
    with reported_errors():
        new = NewPayment(
            user, words.amount(amount, "amount"), currency, method, transaction=transaction, payer=payer,
            tax_included=tax_included, comment=comment, invoice_id=invoice,
        )  # fmt: skip

    async def ask(services: UseCases) -> Payment:
        made = await services.payments.create(new)
        return await services.payments.confirm(made.payment_id) if confirm else made

    print_payment(with_services(config, ask), as_json=json)


@payments_app.command("confirm", epilog="Example: rating-engine payment confirm 12")
def confirm_(payment: PaymentNumber, json: JsonOption = False, config: ConfigOption = None) -> None:
    """The money is there: top the account up, once however often it is said."""
    print_payment(with_services(config, lambda services: services.payments.confirm(payment)), as_json=json)


@payments_app.command(epilog="Example: rating-engine payment cancel 12")
def cancel(payment: PaymentNumber, json: JsonOption = False, config: ConfigOption = None) -> None:
    """It will not come: it is never confirmed after that."""
    print_payment(with_services(config, lambda services: services.payments.cancel(payment)), as_json=json)


@payments_app.command("list", epilog="Example: rating-engine payment list --user anna --state pending")
def list_(
    user: UserOption = None,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="pending, confirmed or cancelled.")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="MOMENT", help="Made from then on.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="MOMENT", help="Made before.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Payments, the newest first."""
    with reported_errors():
        wanted = PaymentFilter(
            user=user,
            since=None if since is None else words.moment(since, "since"),
            until=None if until is None else words.moment(until, "until"),
            state=None if state is None else words.choice(PaymentState, state, "state"),
        )
    page = with_services(
        config, lambda services: listed(lambda cursor: services.payments.page(wanted, cursor), limit, after)
    )
    if json:
        print_json({"payments": [payment_json(payment) for payment in page.items], **next_json(page)})
        return
    table = Table("payment", "user", "paid", "credited", "method", "transaction", "made", "state")
    for each in page.items:
        table.add_row(
            str(each.payment_id), each.login, f"{written(each.gross)} {each.currency}",
            f"{written(each.credited)} {each.account_currency}", each.method, each.transaction,
            f"{each.created_at:%Y-%m-%d %H:%M}", each.state,
        )  # fmt: skip
    out.print(table)
    say_next(page)


@credit_notes_app.command("add", epilog="Example: rating-engine credit-note add anna 5 --comment 'line was down'")
def add_note(
    user: User,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Without tax.")],
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="The system's if not given.")] = None,
    comment: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make one; it is credited by `credit-note pay`."""
    with reported_errors():
        new = NewCreditNote(user, words.amount(amount, "amount"), currency, comment=comment)
    print_note(with_services(config, lambda services: services.credit_notes.create(new)), as_json=json)


@credit_notes_app.command(epilog="Example: rating-engine credit-note pay 3")
def pay(note: NoteNumber, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Credit one to the account, once however often it is said."""
    print_note(with_services(config, lambda services: services.credit_notes.set_paid(note)), as_json=json)


@credit_notes_app.command("take-back", epilog="Example: rating-engine credit-note take-back 3")
def take_back(note: NoteNumber, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Take what was credited off the account again; it has to be there."""
    done = with_services(config, lambda services: services.credit_notes.set_paid(note, paid=False))
    print_note(done, as_json=json)


@credit_notes_app.command(epilog="Example: rating-engine credit-note delete 3")
def delete(note: NoteNumber, config: ConfigOption = None) -> None:
    """Delete one, and take it back if it was paid; its number stays taken."""
    with_services(config, lambda services: services.credit_notes.delete(note))
    say(f"credit note {note} is deleted")


@credit_notes_app.command("list", epilog="Example: rating-engine credit-note list --user anna")
def list_notes(
    user: UserOption = None,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="unpaid, paid or deleted.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Credit notes, the newest first; deleted ones where they are asked for."""
    with reported_errors():
        wanted = CreditNoteFilter(
            user=user, state=None if state is None else words.choice(CreditNoteState, state, "state")
        )
    page = with_services(
        config, lambda services: listed(lambda cursor: services.credit_notes.page(wanted, cursor), limit, after)
    )
    if json:
        print_json({"credit_notes": [note_json(note) for note in page.items], **next_json(page)})
        return
    table = Table("note", "number", "user", "amount", "issued", "state", "comment")
    for each in page.items:
        table.add_row(
            str(each.credit_note_id), each.shown_number, each.login, f"{written(each.amount)} {each.currency}",
            f"{each.issued_at:%Y-%m-%d}", each.state, each.comment,
        )  # fmt: skip
    out.print(table)
    say_next(page)


def print_payment(payment: Payment, *, as_json: bool) -> None:
    """One of them."""
    if as_json:
        print_json(payment_json(payment))
        return
    paid = f"{written(payment.gross)} {payment.currency}"
    say(f"payment {payment.payment_id} of {payment.login}: {paid} by {payment.method}, {payment.state}")


def payment_json(payment: Payment) -> dict[str, Any]:
    """As machines read it."""
    return {
        "payment": payment.payment_id, "user": payment.login, "account": payment.account_id,
        "invoice": payment.invoice_id, "method": payment.method, "kind": payment.kind,
        "transaction": payment.transaction, "amount": written(payment.amount), "tax": written(payment.tax),
        "commission": written(payment.commission), "currency": payment.currency,
        "credited": written(payment.credited), "account_currency": payment.account_currency,
        "payer": payment.payer, "comment": payment.comment, "state": payment.state.value,
        "created_at": payment.created_at.isoformat(),
        "confirmed_at": None if payment.confirmed_at is None else payment.confirmed_at.isoformat(),
    }  # fmt: skip


def print_note(note: CreditNote, *, as_json: bool) -> None:
    """One of them."""
    if as_json:
        print_json(note_json(note))
        return
    say(
        f"credit note {note.credit_note_id}, {note.shown_number} for {note.login}: {written(note.amount)} "
        f"{note.currency}, {note.state}"
    )


def note_json(note: CreditNote) -> dict[str, Any]:
    """As machines read it."""
    return {
        "credit_note": note.credit_note_id, "number": note.shown_number, "user": note.login,
        "account": note.account_id, "amount": written(note.amount), "tax": written(note.tax),
        "currency": note.currency, "comment": note.comment, "state": note.state.value,
        "issued_at": note.issued_at.isoformat(),
    }  # fmt: skip
