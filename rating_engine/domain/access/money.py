"""Who may do what with accounts, cards, papers and what is paid for by the month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rating_engine.domain.party import Level
from rating_engine.domain.rights import Concern, Named, Otherwise, Right, line, party, reads, system, writes

_GROUP: Final = Concern(Named.CARD_GROUP, "group_id")
_CARD: Final = Concern(Named.CARD, "card_id")
_SERVICE: Final = Concern(Named.SERVICE, "service_id")
_SUBSCRIPTION: Final = Concern(Named.SUBSCRIPTION, "subscription_id")
_MONEY: Final = Right("money:write", Level.ADMIN, (line(),), money=True)
_MONEY_BETWEEN: Final = Right("money:write", Level.ADMIN, (line(), line("to_login")), money=True)
_INVOICE: Final = Concern(Named.INVOICE, "invoice_id")
_PAYMENT: Final = Concern(Named.PAYMENT, "payment_id")
_CREDIT_NOTE: Final = Concern(Named.CREDIT_NOTE, "credit_note_id")
_ACCOUNT_BELOW: Final = Concern(Named.ACCOUNT, "number", below=True)

ACTIONS: Final[Mapping[str, Right]] = {
    "accounts.create": Right(
        "accounts:write",
        Level.RESELLER,
        (party("new.owner"),),
        admins_only=("new.balance", "new.credit"),
        own_tariff=("new.tariff",),
    ),
    "accounts.give": system("accounts"),
    "accounts.put_on": Right("accounts:write", Level.RESELLER, (party(below=True), Concern(Named.ACCOUNT, "account"))),
    "accounts.show": reads("accounts", line()),
    "accounts.page": reads("accounts", party("owner"), least=Level.RESELLER, own=True),
    "accounts.subscribers": reads("accounts", line("account_of", otherwise=Otherwise.OWN), least=Level.SIMPLE_USER),
    "accounts.own": reads("accounts", party()),
    "accounts.line": reads("accounts", party()),
    "accounts.lines": reads("accounts", party()),
    "accounts.change": Right(
        "accounts:write",
        Level.RESELLER,
        (line(below=True),),
        admins_only=("settings.overdraft", "settings.allow_loss"),
    ),
    "accounts.block": writes("accounts", line(below=True)),
    "accounts.unblock": writes("accounts", line(below=True)),
    "accounts.add_subscriber": Right(
        "accounts:write", Level.RESELLER, (line("new.account_of"),), own_tariff=("new.tariff",)
    ),
    "accounts.block_subscriber": writes("accounts", line(below=True)),
    "accounts.unblock_subscriber": writes("accounts", line(below=True)),
    "accounts.top_up": _MONEY,
    "accounts.adjust": _MONEY,
    "accounts.close": _MONEY,
    "accounts.close_empty": writes("accounts", line(below=True)),
    "accounts.numbered": reads("accounts", own=True),
    "accounts.statement": reads("accounts", line()),
    # From a user's own account, or one below it: nobody makes money by it.
    "transfers.send": Right("money:write", Level.SIMPLE_USER, (party(),), money=True),
    "transfers.converted": reads("money", own=True),
    "transfers.between": _MONEY_BETWEEN,
    "transfers.top_up": Right("money:write", Level.RESELLER, (party(), line()), money=True),
    "transfers.set_balance": Right("money:write", Level.RESELLER, (_ACCOUNT_BELOW,), money=True),
    "transfers.shift": Right("money:write", Level.RESELLER, (_ACCOUNT_BELOW,), money=True),
    "codes.create": Right("codes:write", Level.SIMPLE_USER, (party(),), money=True),
    "codes.page": reads("codes", party()),
    "codes.count": reads("codes", party()),
    "codes.activate": Right("codes:write", Level.SIMPLE_USER, (party(),), money=True),
    "codes.delete": Right("codes:write", Level.SIMPLE_USER, (party(),), money=True),
    "codes.reseal": system("codes"),
    "taxes.page": reads("taxes", least=Level.RESELLER, own=True),
    "taxes.show": reads("taxes", least=Level.RESELLER, own=True),
    "taxes.add": system("taxes"),
    "taxes.remove": system("taxes"),
    # Whoever owns a group sells its cards; what a reseller's are given comes from its own account.
    "card_groups.add": writes("cards", party("new.owner")),
    "card_groups.change": writes("cards", _GROUP),
    "card_groups.show": reads("cards", _GROUP, least=Level.RESELLER),
    "card_groups.page": reads("cards", least=Level.RESELLER, own=True),
    "cards.create": writes("cards", replace(_GROUP, path="new.group_id")),
    "cards.of_caller": writes("cards", _GROUP),
    "cards.page": reads("cards", least=Level.RESELLER, own=True),
    "cards.show": reads("cards", _CARD, least=Level.RESELLER),
    "cards.numbered": reads("cards", least=Level.RESELLER, own=True),
    "cards.change": writes("cards", _CARD),
    "cards.set_blocked": writes("cards", _CARD),
    "cards.delete": writes("cards", _CARD),
    "cards.pay": Right("cards:write", Level.RESELLER, (_CARD,), money=True),
    "cards.move_all": Right("cards:write", Level.RESELLER, (_CARD, replace(_CARD, path="to_card_id")), money=True),
    "card_sales.sell": Right("cards:write", Level.RESELLER, (replace(_GROUP, path="wanted.group_id"),), money=True),
    "payments.methods": reads("payments", least=Level.ANYBODY, own=True),
    "payments.request": Right("payments:write", Level.SIMPLE_USER, (party(),)),
    "payments.create": writes("payments", party("new.user", below=True, otherwise=Otherwise.ALL)),
    "payments.show": reads("payments", _PAYMENT),
    "payments.page": reads("payments", party("wanted.user"), own=True),
    "payments.confirm": Right("money:write", Level.RESELLER, (replace(_PAYMENT, below=True),), money=True),
    "payments.cancel": writes("payments", replace(_PAYMENT, below=True)),
    "payments.tell": Right("payments:write", Level.ANYBODY, own=True),  # the handler proves who it is
    "invoices.page": reads("invoices", party("wanted.user"), own=True),
    "invoices.show": reads("invoices", _INVOICE),
    "invoices.monthly": Right("invoices:write", Level.SIMPLE_USER, (party(),)),
    "invoices.monthly_of": Right("invoices:write", Level.SIMPLE_USER, (line(),)),
    "invoices.pdf": reads("invoices", _INVOICE),
    "invoices.draft_pdf": reads("invoices", _INVOICE),
    "invoices.mail": Right("invoices:write", Level.SIMPLE_USER, (_INVOICE,)),
    "invoices.cancel": writes("invoices", _INVOICE),  # by whose issuer, it says itself
    "invoices.set_paid": writes("invoices", replace(_INVOICE, below=True)),
    "credit_notes.create": writes("credit_notes", party("new.user", below=True, otherwise=Otherwise.ALL)),
    "credit_notes.show": reads("credit_notes", _CREDIT_NOTE),
    "credit_notes.page": reads("credit_notes", party("wanted.user"), own=True),
    "credit_notes.set_comment": writes("credit_notes", replace(_CREDIT_NOTE, below=True)),
    "credit_notes.set_paid": Right("money:write", Level.RESELLER, (replace(_CREDIT_NOTE, below=True),), money=True),
    "credit_notes.delete": Right("money:write", Level.RESELLER, (replace(_CREDIT_NOTE, below=True),), money=True),
    "statements.of": reads("invoices", party(), own=True),
    "statements.in_which": reads("invoices", own=True),
    "account_imports.import_file": Right("money:write", Level.ADMIN, money=True),
    "paid_services.add": Right("services:write", Level.RESELLER, own=True),
    "paid_services.show": reads("services", own=True),  # the name and price of what may be taken
    "paid_services.page": reads("services", own=True),
    "paid_services.change": writes("services", _SERVICE),
    "paid_services.remove": writes("services", _SERVICE),
    # Which services an asker may give to whom, or take itself, the use case says.
    "subscriptions.subscribe": Right("services:write", Level.SIMPLE_USER, (party("new.who"),), money=True),
    "subscriptions.subscribe_account": Right("services:write", Level.ADMIN, money=True),
    "subscriptions.show": reads("services", _SUBSCRIPTION),
    "subscriptions.page": reads("services", party("wanted.who")),
    "subscriptions.change": Right("services:write", Level.RESELLER, (replace(_SUBSCRIPTION, below=True),), money=True),
    "subscriptions.end": Right("services:write", Level.RESELLER, (replace(_SUBSCRIPTION, below=True),), money=True),
    "subscriptions.turn": Right("services:write", Level.ADMIN, money=True),
    "currencies.known": reads("currencies", least=Level.ANYBODY, own=True),
    "currencies.show": reads("currencies", least=Level.ANYBODY, own=True),
    "currencies.converter": reads("currencies", least=Level.ANYBODY, own=True),
    "currencies.set": system("tariffs"),
    "exchange.page": system("tariffs", "read"),
    "exchange.remove": system("tariffs"),
    "exchange.set": system("tariffs"),
}
