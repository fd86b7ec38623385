"""A user that is registered with its account and its first extension, as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from rating_engine.domain.checks import check_amount
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.domain.sip_account import NewSipAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRegistration:
    """`md5`: of the user's password, in hex. `account` None: one of its own, in `currency` ('': that of the tariff).

    `balance`: from the account of who registers; an administrator gives it. Raises InvalidRequest naming the field.
    """

    login: str
    md5: str = field(repr=False)
    level: Level
    phone: NewSipAccount
    balance: Decimal = Decimal(0)
    language: str = ""
    currency: str = ""
    account: int | None = None

    def __post_init__(self) -> None:
        check_amount(self.balance, "balance")
        self.party(None)

    def party(self, tariff: str | None) -> NewParty:
        """The user, with the tariff that its lines get."""
        kind = PartyKind.RESELLER if Level.RESELLER <= self.level < Level.ADMIN else PartyKind.USER
        kind = PartyKind.ADMIN if self.level >= Level.ADMIN else kind
        return NewParty(self.login, kind, self.level, language=self.language, currency=self.currency, tariff=tariff)
