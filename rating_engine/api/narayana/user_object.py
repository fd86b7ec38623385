"""The User object: what getInfo answers, by the names of the document.

What this engine does not keep is null, and never a value that was not set. Amounts are in the system's currency,
and displayed in the reader's, which `displaycurrency` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.shown_money import ShownMoney
from rating_engine.domain.account import AccountKind, AccountState, ListedAccount
from rating_engine.domain.party import BILLING, Level, Party, PartyState
from rating_engine.domain.sip_account import SipAccount

STATES: Final[Mapping[int, PartyState]] = {
    -1: PartyState.LOCKED,
    0: PartyState.DEACTIVATED,
    1: PartyState.ACTIVE,
    2: PartyState.EXTERNAL_BLOCKED,
    3: PartyState.ALL_BLOCKED,
    99: PartyState.PROTECTED,
}
NUMBER_OF_STATE: Final = {state: number for number, state in STATES.items()}
READ_ONLY: Final = frozenset(
    {"id", "username", "manager", "sip_realm", "actualbalance", "displaycurrency", "displaybalance", "displayoverdraft",
     "displaynotifybalancelimit", "unread_tickets"}
)  # fmt: skip
LINE_FIELDS: Final = (
    "sip_extension", "sip_callerid", "sip_max_call_len", "rates_name", "owner", "disa_pin", "disa_trusted_cli",
    "sip_password", "sip_server", "sip_address", "sip_language", "sip_rates_id", "sip_rates_options", "sip_srtp",
    "sip_transport", "sip_reach", "sip_redirect", "sip_force_callback", "sip_realm", "sip_pitch_shift", "sip_host",
    "sip_options", "lastupdated",
)  # fmt: skip
REACHABLE: Final = 2
NO_NOTICE: Final = -1  # of notify_did


def user_fields(party: Party, reader: Level) -> dict[str, Any]:
    """What is of the user itself. `reader`: the comment is for administrators."""
    return {
        "id": party.party_id,
        "username": party.login,
        "password": "",
        "manager": party.owner or "",
        "accesslevel": int(party.level),
        "active": NUMBER_OF_STATE[party.status],
        "currency": party.currency,
        "language": party.language,
        "timezone": _hours(party.utc_offset),
        "comment": party.comment if reader >= Level.ADMIN else None,
        "rates": party.tariff_id,
        "allowed_rates": ",".join(map(str, party.allowed_tariffs)),
        "notify_email": party.notify_email,
        "invites": party.invites,
        "notify_ticket": int(party.notify_ticket),
        "notify_balance": int(party.notify_balance),
        "notify_balance_limit": party.notify_balance_limit,
        "notify_did": party.notify_did or NO_NOTICE,
    }


def line_fields(line: SipAccount | None) -> dict[str, Any]:
    """What is of one extension; None: the user has none. Its password is empty where it cannot be shown.

    `lastupdated`: when its phone was seen to register or to leave; where that is not known, when its settings changed.
    """
    if line is None:
        return dict.fromkeys(LINE_FIELDS)
    changed = line.updated_at if line.state is None else line.state.last_update
    values = (
        line.login, line.callerid, line.max_seconds, line.tariff, line.owner, line.disa_pin, line.trusted_cli,
        line.password or "", line.address, line.dns_name, line.language, line.tariff_id,
        ",".join(map(str, line.options)), str(int(line.srtp)), line.transport, REACHABLE if line.reachable else 0,
        line.redirect_to, int(line.force_callback), line.exchange or "", line.pitch_shift, line.host,
        ",".join(f"{name}={value}" for name, value in line.endpoint_options.items()),
        "" if changed is None else date(changed),
    )  # fmt: skip
    return dict(zip(LINE_FIELDS, values, strict=True))


def money_fields(account: AccountState | ListedAccount | None, number: int | None, shown: ShownMoney) -> dict[str, Any]:
    """What is of the account; None: the user has none. An overdraft without a limit is null."""
    if account is None:
        names = ("balance", "overdraft", "actualbalance", "displaybalance", "displayoverdraft", "displaycurrency",
                 "refill_allowed", "postpaid", "account", "allowed_call_len")  # fmt: skip
        return dict.fromkeys(names)
    return {
        "account": number,
        "allowed_call_len": account.max_call_seconds,
        **amounts(account.balance, account.overdraft, account.currency, shown),
        "actualbalance": shown.in_system(account.balance + (account.overdraft or Decimal(0)), account.currency),
        "refill_allowed": int(account.refill_allowed),
        "postpaid": int(account.kind is AccountKind.POSTPAID),
    }


def amounts(balance: Decimal, overdraft: Decimal | None, currency: str, shown: ShownMoney) -> dict[str, Any]:
    """Balance and credit, in the system's currency and as they are displayed to the reader."""
    return {
        "balance": shown.in_system(balance, currency),
        "displaybalance": shown.displayed(balance, currency),
        "overdraft": shown.in_system(overdraft, currency),
        "displayoverdraft": shown.displayed(overdraft, currency),
        "displaycurrency": shown.sign(currency),
    }


def attributes(
    party: Party,
    main: SipAccount | None,
    account: AccountState | ListedAccount | None,
    reader: Level,
    shown: ShownMoney,
    unread_tickets: int | None = None,
) -> dict[str, Any]:
    """All attributes without the lists. `unread_tickets` None: of somebody else."""
    return {
        **user_fields(party, reader),
        "currency": party.currency or (shown.system if account is None else account.currency),
        **line_fields(main),
        **money_fields(account, None if main is None else main.account_id, shown),
        **{name: getattr(party, name) for name in BILLING},
        "displaynotifybalancelimit": shown.of_system(party.notify_balance_limit),
        "unread_tickets": unread_tickets,
    }


def whole_user(
    party: Party,
    main: SipAccount | None,
    lines: list[SipAccount],
    account: AccountState | None,
    reader: Level,
    shown: ShownMoney,
    *,
    numbers: list[dict[str, Any]],
    unread_tickets: int,
    broadcasts: list[dict[str, Any]],
    sim_cards: list[dict[str, Any]],
) -> dict[str, Any]:
    """All attributes and lists."""
    return {
        **attributes(party, main, account, reader, shown, unread_tickets),
        "sip_extensions": [line_fields(line) for line in lines],
        "did_numbers": numbers,
        "sim_cards": sim_cards,
        "broadcasts": broadcasts,
    }


def _hours(minutes: int) -> int | float:
    return minutes // 60 if minutes % 60 == 0 else minutes / 60
