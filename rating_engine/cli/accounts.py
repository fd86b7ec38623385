"""`rating-engine account`: create, show, top up, and the statement."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Column, Table

from rating_engine.cli.common import ConfigOption, JsonOption, load_settings, open_database, out, print_json, run
from rating_engine.domain.account import AccountState, LedgerEntry
from rating_engine.rating.money import format_amount
from rating_engine.services.parties.accounts import STATEMENT_LINES, Accounts

accounts_app = typer.Typer(no_args_is_help=True, help="Accounts and their money.")

_WORDS_FOR_NONE: Final = {
    "overdraft": "unlimited",
    "available": "unlimited",
    "quota": "as the settings say",
    "numbering_plan": "as the settings say",
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
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Create an account with one subscriber."""

    async def work() -> AccountState:
        settings = load_settings(config)
        async with open_database(settings) as database:
            return await Accounts(database, buckets=settings.ledger_buckets).create(
                login,
                tariff,
                currency=currency,
                balance=balance,
                overdraft=overdraft,
                postpaid=postpaid,
                max_calls=max_calls,
                callerid=callerid,
            )

    _print_state(run(work()), as_json=json)


@accounts_app.command(epilog="Example: rating-engine account show 1001 --json")
def show(login: Login, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Balance, what open calls hold, and limits."""

    async def work() -> AccountState:
        async with open_database(load_settings(config)) as database:
            return await Accounts(database).show(login)

    _print_state(run(work()), as_json=json)


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
        str | None, typer.Option(metavar="yes|no|none", help="Reserve in slices; none: as the settings say.")
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
    allow: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="Allow a prefix; may be repeated.")] = None,
    block: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="Block a prefix; may be repeated.")] = None,
    forget: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="Take a prefix's rule away.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set limits; `none` takes one away. They hold from the next call on, and in slices for calls that run."""
    given = {
        "max_calls": max_calls,
        "max_call_seconds": max_call_seconds,
        "max_price": max_price,
        "daily_limit": daily_limit,
        "monthly_limit": monthly_limit,
        "time_zone": time_zone,
        "overdraft": overdraft,
        "quota": quota,
        "status": status,
        "default_allowed": default_allowed,
        "numbering_plan": numbering_plan,
    }

    async def work() -> AccountState:
        changes = {field: text for field, text in given.items() if text is not None}
        async with open_database(load_settings(config)) as database:
            return await Accounts(database).change(
                login, changes, allow=allow or (), block=block or (), forget=forget or ()
            )

    _print_state(run(work()), as_json=json)


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

    async def work() -> AccountState:
        async with open_database(load_settings(config)) as database:
            return await Accounts(database).add_subscriber(
                login, account_of, tariff=tariff, callerid=callerid, max_calls=max_calls, max_seconds=max_seconds
            )

    _print_state(run(work()), as_json=json)


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

    async def work() -> tuple[Decimal, bool]:
        async with open_database(load_settings(config)) as database:
            return await Accounts(database).top_up(login, amount, reference=reference)

    balance, posted = run(work())
    if json:
        print_json({"login": login, "balance": format_amount(balance), "posted": posted})
    else:
        said = "topped up" if posted else f"reference {reference!r} was posted before, nothing added"
        out.print(f"{said}; balance {format_amount(balance)}", highlight=False)


@accounts_app.command(epilog="Example: rating-engine account statement 1001 --limit 200")
def statement(
    login: Login,
    limit: Annotated[int, typer.Option(help="Newest entries shown.")] = STATEMENT_LINES,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Every change of the balance, newest first, with the balance after it."""

    async def work() -> list[LedgerEntry]:
        async with open_database(load_settings(config)) as database:
            return await Accounts(database).statement(login, limit)

    entries = run(work())
    if json:
        print_json({"login": login, "entries": [_entry_json(entry) for entry in entries]})
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
    for entry in entries:
        table.add_row(
            entry.created_at.strftime("%Y-%m-%d %H:%M:%SZ"),
            entry.kind,
            format_amount(entry.amount),
            format_amount(entry.balance_after),
            escape(entry.call_key or entry.subject or entry.reference or ""),
        )
    out.print(table)


def _print_state(state: AccountState, *, as_json: bool) -> None:
    fields = _state_json(state)
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


def _state_json(state: AccountState) -> dict[str, Any]:
    """Amounts are text; overdraft and available are null where credit is unlimited."""
    return {
        "login": state.login,
        "tariff": state.tariff,
        "currency": state.currency,
        "balance": format_amount(state.balance),
        "reserved": format_amount(state.reserved),
        "available": None if state.available is None else format_amount(state.available),
        "overdraft": None if state.overdraft is None else format_amount(state.overdraft),
        "postpaid": state.kind == "postpaid",
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
