"""`rating-engine account`: create, show, list, set, block, top up, and the statement."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import (
    ConfigOption,
    JsonOption,
    load_settings,
    out,
    print_json,
    reported_errors,
    say,
    with_services,
)
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.parties.hold_words import hold_words
from rating_engine.domain.account import (
    AccountChanges,
    AccountKind,
    AccountState,
    LedgerEntry,
    ListedAccount,
    NewAccount,
    NewSubscriber,
    PartyStatus,
)
from rating_engine.domain.change import LEAVE
from rating_engine.domain.page import DEFAULT_LIMIT
from rating_engine.engine.calling import policy_of
from rating_engine.rating.money import format_amount

accounts_app = typer.Typer(no_args_is_help=True, help="Accounts and their money.")

_WORDS_FOR_NONE: Final = {
    "overdraft": "unlimited",
    "available": "unlimited",
    "quota": "as the settings say",
    "numbering_plan": "as the settings say",
    "allow_loss": "as the tariff has it",
    "closed_at": "not closed",
}

Login = Annotated[str, typer.Argument(metavar="LOGIN")]


@accounts_app.command(
    epilog="Example: rating-engine account create --login 1001 --tariff retail --balance 10 --max-calls 2"
)
def create(
    login: Annotated[
        str, typer.Option(help="Who calls (AGI's accountcode): 1 to 64 characters without space or comma.")
    ],
    tariff: Annotated[str, typer.Option(help="An imported tariff (rating-engine rates import).")],
    balance: Annotated[str, typer.Option(help="Opening balance.")] = "0",
    overdraft: Annotated[
        str | None, typer.Option(help="How far below zero it may go. Prepaid: 0; postpaid: unlimited if not given.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="The tariff's if not given; another needs an exchange rate.")
    ] = None,
    postpaid: Annotated[bool, typer.Option("--postpaid", help="Pays later; --overdraft is its credit limit.")] = False,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Calls at the same time; no limit if not given.")] = None,
    callerid: Annotated[str, typer.Option(help="Caller id of calls that bring none.")] = "",
    owner: Annotated[str | None, typer.Option(metavar="USER", help="Whose it is; the system's if not given.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Create an account with one subscriber.

    A call of it ends when somebody hangs up, after its own limit (account set --max-call-seconds; else the setting
    max_call_seconds, 4 hours), when its money ends, or, from an exchange that is not watched (AMI), when what it held
    at its start is used up: half of what is available, or with --max-calls 1 all of it, for an hour at most where
    prepaid. docs/credit-control.md has it whole.
    """
    with reported_errors():
        new = NewAccount(
            login=login,
            tariff=tariff,
            currency=currency,
            balance=words.amount(balance, "balance"),
            overdraft=LEAVE if overdraft is None else words.amount(overdraft, "overdraft"),
            kind=AccountKind.POSTPAID if postpaid else AccountKind.PREPAID,
            max_calls=max_calls,
            callerid=callerid,
            owner=owner,
        )
    state = with_services(config, lambda services: services.accounts.create(new))
    print_state(state, as_json=json)
    if not json:
        say(hold_words(policy_of(load_settings(config)), state))


@accounts_app.command(epilog="Example: rating-engine account show 1001 --json")
def show(login: Login, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Balance, what open calls hold, and limits."""
    print_state(with_services(config, lambda services: services.accounts.show(login)), as_json=json)


@accounts_app.command("list", epilog="Example: rating-engine account list --limit 100")
def list_(
    owner: Annotated[str | None, typer.Option(metavar="USER", help="Those of this user and of all below it.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Every account by its first login, the oldest first."""
    page = with_services(
        config, lambda services: listed(lambda cursor: services.accounts.page(cursor, owner=owner), limit, after)
    )
    if json:
        print_json({"accounts": [_listed_json(account) for account in page.items], **next_json(page)})
        return
    right = [Column(name, justify="right") for name in ("logins", "balance", "reserved", "credit", "open calls", "of")]
    table = Table("login", right[0], "owner", "kind", "status", "currency", *right[1:])
    for account in page.items:
        table.add_row(
            account.login,
            f"{account.logins:,}",
            account.owner,
            account.kind,
            account.status if account.closed_at is None else "closed",
            account.currency,
            format_amount(account.balance),
            format_amount(account.reserved),
            "unlimited" if account.overdraft is None else format_amount(account.overdraft),
            str(account.open_calls),
            "no limit" if account.max_calls is None else str(account.max_calls),
        )
    out.print(table)
    say_next(page)


@accounts_app.command(
    "set",
    epilog="Example: rating-engine account set 1001 --daily-limit 20 --time-zone Europe/Berlin --block 881",
)
def set_(
    login: Login,
    max_calls: Annotated[str | None, typer.Option(metavar="N|none", help="Open calls at a time.")] = None,
    max_call_seconds: Annotated[str | None, typer.Option(metavar="N|none", help="The longest call.")] = None,
    max_price: Annotated[str | None, typer.Option(metavar="PRICE|none", help="Per minute; dearer is declined.")] = None,
    daily_limit: Annotated[
        str | None, typer.Option(metavar="AMOUNT|none", help="Spent a day, open calls included.")
    ] = None,
    monthly_limit: Annotated[str | None, typer.Option(metavar="AMOUNT|none", help="Spent a calendar month.")] = None,
    time_zone: Annotated[str | None, typer.Option(metavar="ZONE", help="Whose days and months: Europe/Berlin.")] = None,
    overdraft: Annotated[
        str | None, typer.Option(metavar="AMOUNT|none", help="none: unlimited, postpaid only.")
    ] = None,
    quota: Annotated[
        str | None,
        typer.Option(metavar="yes|no|none", help="In slices or shares; no: one call may hold all; none: as set."),
    ] = None,
    status: Annotated[
        str | None, typer.Option(metavar="active|blocked", help="A blocked account starts no calls.")
    ] = None,
    default_allowed: Annotated[
        str | None, typer.Option(metavar="yes|no", help="Destinations no rule names; no makes --allow a whitelist.")
    ] = None,
    numbering_plan: Annotated[
        str | None, typer.Option(metavar="PLAN|none", help="How its phones write numbers (rating-engine numbering).")
    ] = None,
    refill_allowed: Annotated[
        str | None, typer.Option(metavar="0|1|2", help="Money moves but by calls: 0 not at all, 1 by codes, 2 freely.")
    ] = None,
    allow_loss: Annotated[
        str | None,
        typer.Option(metavar="yes|no|none", help="Calls that cost more than they bring; none: as the tariff."),
    ] = None,
    allow: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="Allow a prefix; may be repeated.")] = None,
    block: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="Block a prefix; may be repeated.")] = None,
    forget: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="Take a prefix's rule away.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set limits; `none` takes one away. They hold from the next call on, and in slices for calls that run."""
    with reported_errors():
        settings = account_settings(
            max_calls=max_calls, max_call_seconds=max_call_seconds, max_price=max_price, daily_limit=daily_limit,
            monthly_limit=monthly_limit, time_zone=time_zone, overdraft=overdraft, quota=quota, status=status,
            default_allowed=default_allowed, numbering_plan=numbering_plan, refill_allowed=refill_allowed,
            allow_loss=allow_loss,
        )  # fmt: skip
    rules: dict[str, bool | None] = {
        **dict.fromkeys(allow or (), True),
        **dict.fromkeys(block or (), False),
        **dict.fromkeys(forget or ()),
    }
    print_state(with_services(config, lambda services: services.accounts.change(login, settings, rules)), as_json=json)


def account_settings(**given: str | None) -> AccountChanges:
    """What the options of `account set` mean; None: not given. Raises InvalidRequest."""

    def whole(field: str) -> Any:
        return words.unless_none(given.get(field), partial(words.whole, field=field))

    def amount(field: str) -> Any:
        return words.unless_none(given.get(field), partial(words.amount, field=field))

    return AccountChanges(
        max_calls=whole("max_calls"),
        max_call_seconds=whole("max_call_seconds"),
        max_price=amount("max_price"),
        daily_limit=amount("daily_limit"),
        monthly_limit=amount("monthly_limit"),
        default_allowed=words.if_given(given.get("default_allowed"), partial(words.yes_or_no, field="default_allowed")),
        quota=words.unless_none(given.get("quota"), partial(words.yes_or_no, field="quota")),
        time_zone=words.if_given(given.get("time_zone"), str),
        overdraft=amount("overdraft"),
        status=words.if_given(given.get("status"), partial(words.choice, PartyStatus, field="status")),
        numbering_plan=words.unless_none(given.get("numbering_plan"), str),
        refill_allowed=words.if_given(given.get("refill_allowed"), partial(words.whole, field="refill_allowed")),
        allow_loss=words.unless_none(given.get("allow_loss"), partial(words.yes_or_no, field="allow_loss")),
    )


@accounts_app.command(epilog="Example: rating-engine account block 1001")
def block(login: Login, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let no login of this login's account start calls; those that run go on."""
    print_state(with_services(config, lambda services: services.accounts.block(login)), as_json=json)


@accounts_app.command(epilog="Example: rating-engine account unblock 1001")
def unblock(login: Login, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let the account's logins call again, but for those that are blocked by themselves."""
    print_state(with_services(config, lambda services: services.accounts.unblock(login)), as_json=json)


@accounts_app.command(epilog="Example: rating-engine account give 1001 reseller-1")
def give(
    login: Login,
    user: Annotated[str, typer.Argument(metavar="USER", help="Its login; `system`: nobody's in particular.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make an account, and every login on it, a user's; how that user stands decides what they may call."""
    print_state(with_services(config, lambda services: services.accounts.give(login, user)), as_json=json)


@accounts_app.command(
    epilog="Example: rating-engine account add-subscriber --login 1002 --account-of 1001 --max-calls 1"
)
def add_subscriber(
    login: Annotated[str, typer.Option(help="Who calls; a new login.")],
    account_of: Annotated[str, typer.Option(metavar="LOGIN", help="Whose account pays.")],
    tariff: Annotated[
        str | None, typer.Option(help="The other's if not given; must be in the account's currency.")
    ] = None,
    callerid: Annotated[str, typer.Option(help="Caller id of calls that bring none.")] = "",
    max_calls: Annotated[int | None, typer.Option(min=0, help="Open calls at a time of this login alone.")] = None,
    max_seconds: Annotated[int | None, typer.Option(min=1, help="The longest call of this login.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """One more login that calls on an account: a family, an office."""
    with reported_errors():
        new = NewSubscriber(login, account_of, tariff, callerid, max_calls, max_seconds)
    print_state(with_services(config, lambda services: services.accounts.add_subscriber(new)), as_json=json)


@accounts_app.command(epilog="Example: rating-engine account topup 1001 25.00 --reference invoice-4711")
def topup(
    login: Login,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the account's currency, above zero.")],
    reference: Annotated[
        str | None, typer.Option(help="Posted once, however often the command is repeated with it.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add money to an account."""
    with reported_errors():
        value = words.amount(amount, "amount")
    done = with_services(config, lambda services: services.accounts.top_up(login, value, reference=reference))
    balance = format_amount(done.balance)
    if json:
        print_json({"login": login, "balance": balance, "posted": done.posted})
    else:
        told = "topped up" if done.posted else f"reference {reference!r} was posted before, nothing added"
        say(f"{told}; balance {balance}")


@accounts_app.command(epilog="Example: rating-engine account statement 1001 --limit 200")
def statement(
    login: Login,
    limit: Annotated[int, typer.Option(help="Newest entries shown.")] = DEFAULT_LIMIT,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Every change of the balance, newest first, with the balance after it."""
    page = with_services(config, lambda services: listed(partial(services.accounts.statement, login), limit, after))
    if json:
        print_json({"login": login, "entries": [_entry_json(entry) for entry in page.items], **next_json(page)})
        return
    table = Table(
        Column("when", no_wrap=True),
        "what",
        "amount",
        "balance after",
        "call, subject or reference",
        title=f"statement of {login}",
    )
    for column in (2, 3):
        table.columns[column].justify = "right"
    for entry in page.items:
        table.add_row(
            entry.created_at.strftime("%Y-%m-%d %H:%M:%SZ"),
            entry.kind,
            format_amount(entry.amount),
            format_amount(entry.balance_after),
            entry.call_key or entry.subject or entry.reference or "",
        )
    out.print(table)
    say_next(page)


def print_state(state: AccountState, *, as_json: bool) -> None:
    """An account as one of its logins has it."""
    fields = state_json(state)
    if as_json:
        print_json(fields)
        return
    table = Table(title=f"account of {state.login}", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in fields.items():
        if value is None:
            value = _WORDS_FOR_NONE.get(name, "none")
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        table.add_row(name.replace("_", " "), str(value))
    out.print(table)


def state_json(state: AccountState) -> dict[str, Any]:
    """Amounts are text; overdraft and available are null where credit is unlimited."""
    return {
        "login": state.login,
        "tariff": state.tariff,
        "currency": state.currency,
        "balance": format_amount(state.balance),
        "reserved": format_amount(state.reserved),
        "available": None if state.available is None else format_amount(state.available),
        "overdraft": None if state.overdraft is None else format_amount(state.overdraft),
        "postpaid": state.kind is AccountKind.POSTPAID,
        "max_calls": state.max_calls,
        "open_calls": state.open_calls,
        "max_call_seconds": state.max_call_seconds,
        "max_price": None if state.max_price is None else format_amount(state.max_price),
        "daily_limit": None if state.daily_limit is None else format_amount(state.daily_limit),
        "day_spent": format_amount(state.day_spent),
        "monthly_limit": None if state.monthly_limit is None else format_amount(state.monthly_limit),
        "month_spent": format_amount(state.month_spent),
        "time_zone": state.time_zone,
        "quota": state.quota,
        "default_allowed": state.default_allowed,
        "numbering_plan": state.numbering_plan,
        "callerid": state.callerid,
        "status": state.status.value,
        "subscriber_status": state.subscriber_status.value,
        "owner": state.owner,
        "calls": state.calls.value,
        "refill_allowed": int(state.refill_allowed),
        "allow_loss": state.allow_loss,
        "closed_at": None if state.closed_at is None else state.closed_at.isoformat(timespec="seconds"),
    }


def _listed_json(account: ListedAccount) -> dict[str, Any]:
    """Amounts are text; overdraft is null where credit is unlimited."""
    return {
        "account": f"{account.bucket}/{account.account_id}",
        "login": account.login,
        "logins": account.logins,
        "currency": account.currency,
        "balance": format_amount(account.balance),
        "reserved": format_amount(account.reserved),
        "overdraft": None if account.overdraft is None else format_amount(account.overdraft),
        "postpaid": account.kind is AccountKind.POSTPAID,
        "status": account.status.value,
        "open_calls": account.open_calls,
        "max_calls": account.max_calls,
        "owner": account.owner,
        "closed_at": None if account.closed_at is None else account.closed_at.isoformat(),
    }


def _entry_json(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "kind": entry.kind,
        "amount": format_amount(entry.amount),
        "balance_after": format_amount(entry.balance_after),
        "call_key": entry.call_key,
        "reference": entry.reference,
        "subject": entry.subject,
        "created_at": entry.created_at.isoformat(),
    }
