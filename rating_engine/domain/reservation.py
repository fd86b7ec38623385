"""Money held for a call, and how it is asked for and given back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from rating_engine.domain.outcomes import CallKey
from rating_engine.rating.fast_frozen import fast_frozen


@dataclass(frozen=True, slots=True)
class PackageUse:
    """Seconds of a package in the period that began on `period_start`: held for a call, or used by it.

    All that apply to a call are named, in the order in which they are used up; a volume has 0 until its call ends.
    """

    package_id: int
    period_start: date
    seconds: int


@dataclass(frozen=True, slots=True)
class ResellerPrice:
    """What a reseller pays for a call of one of its users: frozen, as the user's own price is.

    `rate`: as JSON, in the currency of its account. `exchange`: one of that currency in that of whom it sells to
    (the user's account, or that of the reseller before it); None: not known. A carrier's cost is that of the last one.
    `rate` '': there was no price, of a call that was not prepared.
    """

    account_id: int
    tariff_id: int
    deck_id: int
    prefix: str
    rate: str
    exchange: Decimal | None


@dataclass(frozen=True, slots=True)
class ResellerHold:
    """What is held of a reseller for a call, in its currency: as the fields of ReserveRequest are of the user."""

    minimum: Decimal
    maximum: Decimal
    share_least: Decimal
    price_per_minute: Decimal


@dataclass(frozen=True, slots=True)
class ResellerCharge:
    """What the end of a call costs a reseller. `margin`: less what it pays in turn; None: not known."""

    account_id: int
    billed_seconds: int
    cost: Decimal
    margin: Decimal | None


@fast_frozen
class CallDetails:
    """What a CDR says of a call besides its end. `rate` is the frozen rate as JSON, '' where there is none.

    `carrier_rate`: what the route costs, the same way, in `carrier_currency`, one of which is `carrier_exchange` of the
    account's currency (None: not known). `routing_number`: '' where it is the destination. `channel`: the exchange's
    name of the caller's channel when the call was prepared; '' where it is not known, which agrees with every name.
    The four after it: the call's origin, as in PrepareCall and FinishCall. `resellers`: who pays for it besides, the
    nearest first; then `carrier_exchange` is into the last one's currency.
    """

    subscriber_id: int
    exchange: str
    attempt: int
    callerid: str
    destination: str
    direction: str
    prefix: str
    tariff_id: int
    deck_id: int
    rate: str
    route_name: str
    routing_number: str = ""
    carrier_rate: str = ""
    carrier_currency: str = ""
    carrier_exchange: Decimal | None = None
    packages: tuple[PackageUse, ...] = ()
    channel: str = ""
    from_originate: str = ""
    source_address: str = ""
    originated_by: str = ""
    is_did: str = ""
    resellers: tuple[ResellerPrice, ...] = ()


@fast_frozen
class ReserveRequest:
    """Hold between `minimum` and `maximum` (amounts of the account's currency) for one call.

    `share`: while others of the account may come, hold at most this part of what there is, but `share_least` as far as
    there is so much; None: all of it. `quota`: in slices, which are shared when the money ends. `steered`: its exchange
    can be told how long it lasts, so that it may be lengthened.
    `tariffs`: the id and version of each that it was planned from. `prepared_at`: the instant whose prices it goes by.
    `limited_route`: the route whose calls are counted; None: it has no limit. `claim`: any number that tells this
    request from its repetitions; who knows it may take the reservation back, until a repetition is answered.
    `resellers`: what is held of each of `details.resellers`; all hold or none does.
    """

    call_key: CallKey
    bucket: int
    account_id: int
    subscriber_version: int
    minimum: Decimal
    maximum: Decimal
    price_per_minute: Decimal
    quota: bool
    cap_seconds: int
    lifetime_seconds: int
    route_prefix: str
    details: CallDetails
    tariffs: tuple[tuple[int, int], ...]
    prepared_at: datetime
    limited_route: int | None = None
    claim: int | None = None
    steered: bool = False
    share: Decimal | None = None
    share_least: Decimal = Decimal(0)
    resellers: tuple[ResellerHold, ...] = ()

    @property
    def account_ids(self) -> tuple[int, ...]:
        """Every account that is charged."""
        return (self.account_id, *(one.account_id for one in self.details.resellers))


class ReserveOutcome(StrEnum):
    """Answers of the SQL function reserve(), in the order of its checks. The refusals are values of DeclineReason."""

    EXISTS = "exists"
    CONFLICT = "conflict"
    STALE = "stale"
    INACTIVE = "inactive"
    BLOCKED_DESTINATION = "blocked_destination"
    PRICE_TOO_HIGH = "price_too_high"
    TOO_MANY_CALLS = "too_many_calls"
    PACKAGE_TAKEN = "package_taken"  # less of a package is left than was asked for: plan again
    INSUFFICIENT_FUNDS = "insufficient_funds"
    DAILY_LIMIT = "daily_limit"
    MONTHLY_LIMIT = "monthly_limit"
    RESELLER_INACTIVE = "reseller_inactive"
    RESELLER_LIMIT = "reseller_limit"
    RESELLER_INSUFFICIENT_FUNDS = "reseller_insufficient_funds"
    ROUTE_FULL = "route_full"  # plan with another route
    RESERVED = "reserved"


@fast_frozen
class ReserveAnswer:
    """`granted`: what the call may cost; 0 unless RESERVED. `resellers_granted`: what it may cost each of them."""

    outcome: ReserveOutcome
    granted: Decimal
    resellers_granted: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class ExtendRequest:
    """Raise what a call may cost to `maximum`, as far as there is money; `give_back`: lower it to that instead.

    `answered_at` None: not seen. `resellers`: all who pay besides, with what it may cost each.
    """

    call_key: CallKey
    bucket: int
    account_id: int
    maximum: Decimal
    lifetime_seconds: int
    answered_at: datetime | None
    give_back: bool = False
    resellers: tuple[tuple[int, Decimal], ...] = ()

    @property
    def account_ids(self) -> tuple[int, ...]:
        """Every account that is charged."""
        return (self.account_id, *(account_id for account_id, _ in self.resellers))


class ExtendOutcome(StrEnum):
    """Answers of the SQL function extend()."""

    EXTENDED = "extended"
    INACTIVE = "inactive"  # the account was blocked: the call may use up what it has
    UNKNOWN = "unknown"  # the call has ended


@dataclass(frozen=True, slots=True)
class ExtendAnswer:
    """`granted`: what the call may cost in all; `resellers_granted`: what it may cost each of them."""

    outcome: ExtendOutcome
    granted: Decimal
    resellers_granted: tuple[Decimal, ...] = ()


class SettleSource(StrEnum):
    """Who says how a call ended."""

    FINISH = "finish"
    RECONCILED = "reconciled"  # its channel was gone, and no finish had come
    ABANDONED = "abandoned"  # the exchange never heard the answer to its callPrepare
    EXPIRED = "expired"  # no finish had come when its time was up
    SEEN = "seen"  # its finish had said something else than its exchange was seen to say


class Suspicion(StrEnum):
    """Why a person should look at how a call ended. Append only: it labels a metric."""

    NONE = ""
    TOO_LONG = "too_long"  # it lasted longer than its exchange was told it might
    UNSEEN = "unseen"  # its exchange was seen to say something else, which is believed


@fast_frozen
class SettleRequest:
    """Charge `cost` for a call and free what it held. `details` are for a call that holds nothing (None: then refuse).

    `ended_at` None: now. `claim`: where the source is ABANDONED, that of the request whose reservation it was.
    `carrier_cost`: in the carrier's currency; None: not known, as `margin`. `covered_seconds`: billed ones that
    packages paid; `packages`: exactly how many each, empty: out of what the reservation holds. `rerate_id`: of the CDR
    whose rate it is charged by, where a late end takes the place of what a CDR assumed. `channel`: where given, the end
    is that of a call of this channel, or a conflict; '' tells nothing. `said_seconds`: of the finish, where `seconds`
    is what was seen instead; None: nothing seen was asked for yet. `seen_seconds`: from answer to hangup, where both
    were seen. `cost_before`: what the call had cost APART_SECONDS earlier; None: its cost. `resellers`: all who pay
    besides, the nearest first; of a call that cost nothing they may be left out. `is_did`: as in FinishCall.
    """

    call_key: CallKey
    bucket: int
    account_id: int
    seconds: int
    billed_seconds: int
    cost: Decimal
    disposition: str
    cause: int
    source: SettleSource = SettleSource.FINISH
    ended_at: datetime | None = None
    details: CallDetails | None = None
    claim: int | None = None
    carrier_cost: Decimal | None = None
    margin: Decimal | None = None
    covered_seconds: int = 0
    packages: tuple[PackageUse, ...] = ()
    rerate_id: int | None = None
    channel: str = ""
    said_seconds: int | None = None
    seen_seconds: int | None = None
    cost_before: Decimal | None = None
    is_did: str = ""
    resellers: tuple[ResellerCharge, ...] = ()

    @property
    def account_ids(self) -> tuple[int, ...]:
        """Every account that is charged, as far as the request says."""
        return (self.account_id, *(one.account_id for one in self.resellers))


class SettleOutcome(StrEnum):
    """Answers of the SQL function settle()."""

    SETTLED = "settled"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    STILL_OPEN = "still_open"  # to be abandoned, but another request was told that the call is allowed; or not expired
    UNKNOWN = "unknown"
    PACKAGE_TAKEN = "package_taken"  # less of a package is left than was asked for: ask for less
    UNSEEN = "unseen"  # the exchange was seen to say something else: look what, and say both


@fast_frozen
class SettleAnswer:
    """`overrun`: what was charged beyond what was held."""

    outcome: SettleOutcome
    overrun: Decimal
    suspicion: Suspicion = Suspicion.NONE


@fast_frozen
class OpenCall:
    """A call whose money is held: its reservation as stored. `currency` '' where only the database knows it.

    `quota`: it may be lengthened while it lasts. `answered_at`: as its exchange was seen to say; None: not seen, or not
    asked for. `resellers_granted`: what it may cost each of `details.resellers`.
    """

    account_id: int
    granted: Decimal
    quota: bool
    cap_seconds: int
    route_prefix: str
    details: CallDetails
    currency: str = ""
    answered_at: datetime | None = None
    resellers_granted: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A call with a CDR. `provisional`: no finish was heard yet; one that comes late corrects what was assumed.

    `rerate_id`: the re-rating that gave it the rate it has; None: it is the one that was frozen when it began.
    `seen_seconds`: as its exchange was seen to say; `said_seconds`: as its finish said, where what was seen is believed
    against it; None: not known.
    """

    account_id: int
    provisional: bool
    seconds: int
    billed_seconds: int
    cost: Decimal
    disposition: str
    cause: int
    details: CallDetails
    rerate_id: int | None = None
    seen_seconds: int | None = None
    said_seconds: int | None = None
