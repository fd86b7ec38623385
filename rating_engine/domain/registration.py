"""A user that is registered with its account and its first extension, as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from rating_engine.domain.account import AccountChanges
from rating_engine.domain.checks import check_amount
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.domain.party_details import PartyDetailChanges
from rating_engine.domain.sip_account import NewSipAccount, SipChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRegistration:
    """`md5`: of the user's password, in hex. `account` None: one of its own, in `currency` ('': that of the tariff).

    `balance`: from the account of who registers; an administrator gives it. `balance_currency`: its own; '': that of
    the account that pays, or of the one that is made. `owner` None: who registers.
    `account_settings`: of its own account; `phone_settings`: of its phone, as an administrator has them for
    all. `tariff`: what its lines get where its owner has none. `welcome`: the address that is told of it; '': none.
    `route_plan`: by which its calls go, which administrators say.
    Raises InvalidRequest naming the field.
    """

    login: str
    md5: str = field(repr=False)
    level: Level
    phone: NewSipAccount
    balance: Decimal = Decimal(0)
    balance_currency: str = ""
    language: str = ""
    currency: str = ""
    account: int | None = None
    owner: int | None = None
    account_settings: AccountChanges = field(default_factory=AccountChanges)
    details: PartyDetailChanges = field(default_factory=PartyDetailChanges)
    phone_settings: SipChanges = field(default_factory=SipChanges)
    welcome: str = ""
    route_plan: str | None = None
    tariff: str | None = None

    def __post_init__(self) -> None:
        check_amount(self.balance, "balance")
        self.party(None)

    def party(self, tariff: str | None) -> NewParty:
        """The user, with the tariff that its lines get."""
        kind = PartyKind.RESELLER if Level.RESELLER <= self.level < Level.ADMIN else PartyKind.USER
        kind = PartyKind.ADMIN if self.level >= Level.ADMIN else kind
        return NewParty(
            self.login, kind, self.level, owner=self.owner, language=self.language, currency=self.currency,
            tariff=tariff, name=self.name,
        )  # fmt: skip

    @property
    def name(self) -> str:
        """Its own, of the details; '': not said."""
        names = (self.details.first_name, self.details.last_name)
        return " ".join(name for name in names if isinstance(name, str) and name)
