"""`rating-engine user`: who may ask, and whose lines are: made, listed, blocked, deleted, given passwords."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.change import LEAVE
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.minimum_spend import MinimumSpend
from rating_engine.domain.party import (
    BILLING,
    PASSWORD_MAX,
    ROUTING,
    Level,
    NewParty,
    Party,
    PartyChanges,
    PartyFilter,
    PartyKind,
    PartyState,
)
from rating_engine.domain.route_plan import BlacklistMode
from rating_engine.domain.tax import PartyTax
from rating_engine.rating.money import format_amount
from rating_engine.services.catalogue import UseCases

users_app = typer.Typer(no_args_is_help=True, help="Users, resellers, administrators: who asks, and whose lines are.")

NOTHING_MORE: Final[Mapping[str, str | None]] = MappingProxyType({})
GENERATED_BYTES: Final = 12  # of a password that is made here: 16 characters, more than anybody guesses

User = Annotated[str, typer.Argument(metavar="USER")]
OwnerOption = Annotated[str | None, typer.Option(metavar="USER", help="Whose it is; the system's if not given.")]


@users_app.command(epilog="Example: rating-engine user create --login anna --admin --generate-password")
def create(
    login: Annotated[str, typer.Option(help="1 to 64 characters without space or comma.")],
    admin: Annotated[bool, typer.Option("--admin", help="May do all that a key or login can do (level 44).")] = False,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help=f"{', '.join(list(PartyKind)[1:])}; user.")] = None,
    level: Annotated[int | None, typer.Option(help="Users 10 or 11, resellers 22 or 25, admins 33 or 44.")] = None,
    owner: OwnerOption = None,
    name: Annotated[str, typer.Option(help="Of the person or firm.")] = "",
    language: Annotated[str, typer.Option(metavar="CODE", help="en, de, ru …")] = "",
    utc_offset: Annotated[int, typer.Option(metavar="MINUTES", help="Its clock beside UTC: 60, -300.")] = 0,
    currency: Annotated[str, typer.Option(metavar="CODE", help="In which it is shown amounts.")] = "",
    tariff: Annotated[str | None, typer.Option(metavar="NAME", help="What its new lines get.")] = None,
    comment: Annotated[str, typer.Option(help="For those who manage it.")] = "",
    generate_password: Annotated[
        bool, typer.Option("--generate-password", help="Make a password, and show it once.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Create a user. The first administrator of an installation is made so."""
    with reported_errors():
        if admin and kind is not None:
            raise InvalidRequest("admin", "says the kind already; leave --kind out")
        new = NewParty(
            login=login,
            kind=PartyKind.ADMIN if admin else words.choice(PartyKind, kind or "user", "kind"),
            level=Level.ROOT_ADMIN if admin and level is None else None if level is None else level_of(level),
            owner=owner,
            name=name,
            language=language,
            utc_offset=utc_offset,
            currency=currency,
            tariff=tariff,
            comment=comment,
        )
    password = secrets.token_urlsafe(GENERATED_BYTES) if generate_password else None
    party = with_services(config, lambda services: services.parties.create(new, password=password))
    print_party(party, as_json=json, password=password)


@users_app.command(epilog="Example: rating-engine user show anna --json")
def show(user: User, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Who it is, whose, how it stands, and what its lines may call."""

    async def work(services: UseCases) -> tuple[Party, MinimumSpend | None]:
        party = await services.parties.show(user)
        return party, await services.minimum_spends.show(party.party_id)

    party, minimum = with_services(config, work)
    print_party(party, as_json=json, more=_minimum_json(minimum))


@users_app.command("list", epilog="Example: rating-engine user list --owner reseller-1 --status locked")
def list_(
    owner: OwnerOption = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Of this kind alone.")] = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="In this state alone.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted ones too.")] = False,
    hidden: Annotated[bool, typer.Option("--hidden", help="Those too that lists leave out (`user set`).")] = False,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Users, the oldest first: all, or those below one."""
    with reported_errors():
        wanted = PartyFilter(
            owner=owner,
            kind=None if kind is None else words.choice(PartyKind, kind, "kind"),
            status=None if status is None else words.choice(PartyState, status, "status"),
            hidden=deleted,
            unlisted=hidden,
        )
    page = with_services(
        config, lambda services: listed(lambda cursor: services.parties.page(wanted, cursor), limit, after)
    )
    if json:
        print_json({"users": [party_json(party) for party in page.items], **next_json(page)})
        return
    table = Table("number", "login", "name", "kind", "level", "owner", "status", "calls")
    for party in page.items:
        status_word = f"{party.status}, deleted" if party.hidden else party.status
        table.add_row(
            str(party.party_id), party.login, party.name, party.kind, str(int(party.level)), party.owner or "",
            status_word, party.calls,
        )  # fmt: skip
    out.print(table)
    say_next(page)


@users_app.command("set", epilog="Example: rating-engine user set anna --name 'Anna Example' --tariff none")
def set_(
    user: User,
    level: Annotated[str | None, typer.Option(metavar="N", help="10 or 11, 22 or 25, 33 or 44.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the person or firm.")] = None,
    language: Annotated[str | None, typer.Option(metavar="CODE", help="en, de, ru …")] = None,
    utc_offset: Annotated[str | None, typer.Option(metavar="MINUTES", help="Its clock beside UTC.")] = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="In which it is shown amounts.")] = None,
    tariff: Annotated[str | None, typer.Option(metavar="NAME|none", help="What its new lines get.")] = None,
    account: Annotated[
        str | None, typer.Option(metavar="LOGIN|none", help="A reseller's own: charged for calls of all below it.")
    ] = None,
    comment: Annotated[str | None, typer.Option(help="For those who manage it.")] = None,
    email: Annotated[str | None, typer.Option("--notify-email", metavar="ADDRESS", help="Where its mail goes.")] = None,
    low_balance: Annotated[
        str | None,
        typer.Option("--notify-balance", metavar="AMOUNT|none", help="Told below this balance (system's currency)."),
    ] = None,
    warn_calls: Annotated[
        str | None, typer.Option("--warn-calls", metavar="yes|no", help="Callers hear below the same balance, too.")
    ] = None,
    did_days: Annotated[
        str | None, typer.Option("--notify-did", metavar="DAYS", help="Told so long before a number ends; 0: never.")
    ] = None,
    hidden: Annotated[str | None, typer.Option(metavar="yes|no", help="Lists of users leave it out.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change what is given; the rest stays."""
    with reported_errors():
        changes = PartyChanges(
            level=words.if_given(level, lambda text: level_of(words.whole(text, "level"))),
            name=words.if_given(name, str),
            language=words.if_given(language, str),
            utc_offset=words.if_given(utc_offset, partial(words.whole, field="utc_offset")),
            currency=words.if_given(currency, str),
            tariff=words.unless_none(tariff, str),
            account=words.unless_none(account, str),
            comment=words.if_given(comment, str),
            notify_email=words.if_given(email, str),
            notify_balance=words.if_given(low_balance, lambda text: text != words.NONE),
            notify_balance_limit=LEAVE
            if low_balance in (None, words.NONE)
            else words.amount(str(low_balance), "notify_balance"),
            warn_calls=words.if_given(warn_calls, partial(words.yes_or_no, field="warn_calls")),
            notify_did=words.if_given(did_days, lambda text: words.whole(text, "notify_did")),
            unlisted=words.if_given(hidden, partial(words.yes_or_no, field="hidden")),
        )
    print_party(with_services(config, lambda services: services.parties.change(user, changes)), as_json=json)


@users_app.command(epilog="Example: rating-engine user routing anna --plan premium --dynamic-blacklist off")
def routing(
    user: User,
    plan: Annotated[
        str | None, typer.Option(metavar="PLAN|none", help="By which its calls go, and those of all below it.")
    ] = None,
    blacklist: Annotated[
        str | None,
        typer.Option("--dynamic-blacklist", metavar="on|off|global", help="Whether suspected calls go by another."),
    ] = None,
    threshold: Annotated[
        str | None, typer.Option(metavar="N|none", help="Suspected: with more than so much together.")
    ] = None,
    blacklist_plan: Annotated[
        str | None, typer.Option(metavar="PLAN|none", help="By which suspected calls go where it is on.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say by which route plan calls go, and suspected ones (docs/routing.md); with nothing given, show it."""
    with reported_errors():
        changes = PartyChanges(
            route_plan=words.unless_none(plan, str),
            dynamic_blacklist=words.if_given(
                blacklist, lambda text: words.choice(BlacklistMode, text, "dynamic_blacklist")
            ),
            score_threshold=words.unless_none(threshold, partial(words.whole, field="threshold")),
            blacklist_plan=words.unless_none(blacklist_plan, str),
        )
    party = with_services(config, lambda services: services.parties.change(user, changes))
    _print_fields(party.login, {name: getattr(party, name) for name in ROUTING}, as_json=json, nothing=words.NONE)


@users_app.command(epilog="Example: rating-engine user billing system --name 'Example Telecom' --bank-account DE89")
def billing(
    user: User,
    name: Annotated[str | None, typer.Option(help="Of the person or firm, as it stands on invoices.")] = None,
    address: Annotated[str | None, typer.Option(help=r"Lines with \n between.")] = None,
    email: Annotated[str | None, typer.Option(help="Where invoices go.")] = None,
    bank_account: Annotated[str | None, typer.Option(help="To which those pay whom it bills.")] = None,
    tax_number: Annotated[str | None, typer.Option(help="Its number at the tax office.")] = None,
    tax: Annotated[
        str | None, typer.Option(metavar="TAX|none", help="Put on what it pays: a number of `tax list`.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set what stands on invoices to a user, and on those that it issues; `system` is the company's own."""
    with reported_errors():
        changes = PartyChanges(
            billing_name=words.if_given(name, str),
            billing_address=words.if_given(address, lambda text: text.replace("\\n", "\n")),
            billing_email=words.if_given(email, str),
            billing_bank_account=words.if_given(bank_account, str),
            tax_number=words.if_given(tax_number, str),
            tax_id=words.unless_none(tax, partial(words.whole, field="tax")),
        )
    party = with_services(config, lambda services: services.parties.change(user, changes))
    shown = {**{name: getattr(party, name) for name in BILLING}, "tax_number": party.tax_number, "tax": party.tax_id}
    _print_fields(party.login, shown, as_json=json)


def _print_fields(login: str, shown: Mapping[str, Any], *, as_json: bool, nothing: str = "") -> None:
    """A line a field, or one object; `nothing` stands where a field has none."""
    if as_json:
        print_json({"login": login, **shown})
        return
    for field, value in shown.items():
        say((f"{field.replace('_', ' ')}: ", "bold"), nothing if value is None else str(value))


@users_app.command(epilog="Example: rating-engine user taxes anna VAT=19 'City tax=1.5'")
def taxes(
    user: User,
    given: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=PERCENT]...|none", help="All its taxes, in their order.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say which taxes are put on what a user pays, each with its own line on invoices; with none named, show them."""
    with reported_errors():
        changes = PartyChanges() if not given else PartyChanges(taxes=_taxes(given))
    party = with_services(config, lambda services: services.parties.change(user, changes))
    if json:
        shown = [{"name": tax.name, "percent": format_amount(tax.percent)} for tax in party.taxes]
        print_json({"login": party.login, "taxes": shown})
        return
    for tax in party.taxes:
        say((f"{tax.name}: ", "bold"), f"{format_amount(tax.percent)} %")


def _taxes(given: list[str]) -> tuple[PartyTax, ...]:
    if given == [words.NONE]:
        return ()
    taxes = []
    for place, text in enumerate(given, start=1):
        name, sign, percent = text.rpartition("=")
        if not sign:
            raise InvalidRequest("taxes", f"{text[:40]!r} is not such as VAT=19")
        taxes.append(PartyTax(place, name.strip(), words.amount(percent.strip(), "taxes")))
    return tuple(taxes)


@users_app.command(epilog="Example: rating-engine user block anna --as external_blocked")
def block(
    user: User,
    state: Annotated[
        str, typer.Option("--as", metavar="STATUS", help="all_blocked, external_blocked, deactivated or locked.")
    ] = PartyState.ALL_BLOCKED.value,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let no line of a user, or of those below it, start calls, from the next one on; those that run go on.

    external_blocked: they call lines of the same user alone. locked: it may not log in or use its keys either.
    """
    with reported_errors():
        status = words.choice(PartyState, state, "as")
        if status in (PartyState.ACTIVE, PartyState.PROTECTED):
            raise InvalidRequest("as", f"{state!r} blocks nothing")
    print_party(with_services(config, lambda services: services.parties.set_status(user, status)), as_json=json)


@users_app.command(epilog="Example: rating-engine user unblock anna")
def unblock(
    user: User,
    protect: Annotated[bool, typer.Option("--protect", help="And nothing that works by itself blocks it.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let the lines of a user call again, if its owners' state lets them."""
    status = PartyState.PROTECTED if protect else PartyState.ACTIVE
    print_party(with_services(config, lambda services: services.parties.set_status(user, status)), as_json=json)


@users_app.command(epilog="Example: rating-engine user delete anna")
def delete(user: User, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Delete a user: it asks and calls no more. Its accounts keep their money, and its login stays taken."""
    print_party(with_services(config, lambda services: services.parties.delete(user)), as_json=json)


@users_app.command(epilog="Example: rating-engine user password anna --generate")
def password(
    user: User,
    generate: Annotated[bool, typer.Option("--generate", help="Make one, and show it once.")] = False,
    config: ConfigOption = None,
) -> None:
    """Set a password: asked for at a terminal, else the first line of the input. Its sessions end."""
    with reported_errors():
        new = secrets.token_urlsafe(GENERATED_BYTES) if generate else _asked()
    with_services(config, lambda services: services.parties.set_password(user, password=new))
    say(f"{user} has another password" + (f": {new}" if generate else ""))


def level_of(number: int) -> Level:
    """A level of users. Raises InvalidRequest."""
    try:
        return Level(number)
    except ValueError:
        raise InvalidRequest("level", "of users is 10 or 11, 22 or 25, 33 or 44") from None


def print_party(
    party: Party, *, as_json: bool, password: str | None = None, more: Mapping[str, str | None] = NOTHING_MORE
) -> None:
    """One user, with what else is said of it; and its password, the one time that it is known."""
    once = {**more} if password is None else {**more, "password": password}
    if as_json:
        print_json({**party_json(party), **once})
        return
    for name, value in {**party_json(party), **once}.items():
        say((f"{name.replace('_', ' ')}: ", "bold"), "" if value is None else str(value))


def _minimum_json(minimum: MinimumSpend | None) -> dict[str, str | None]:
    """The least that its calls of a month cost (`user minimum`)."""
    return {
        "minimum": None if minimum is None else format_amount(minimum.amount),
        "minimum_from": None if minimum is None else minimum.since.isoformat(),
    }


def party_json(party: Party) -> dict[str, Any]:
    """As machines read it."""
    return {
        "user": party.party_id,
        "login": party.login,
        "name": party.name,
        "kind": party.kind.value,
        "level": int(party.level),
        "owner": party.owner,
        "status": party.status.value,
        "calls": party.calls.value,
        "deleted": party.hidden,
        "hidden": party.unlisted,
        "language": party.language,
        "utc_offset": party.utc_offset,
        "currency": party.currency,
        "tariff": party.tariff,
        "account": party.account,
        "comment": party.comment,
        "notify_email": party.notify_email,
        "notify_balance": str(party.notify_balance_limit) if party.notify_balance else None,
        "notify_hour": party.notify_hour,
        "warn_calls": party.warn_calls,
        "warn_sound": party.warn_sound,
        "notify_did": party.notify_did,
        "route_plan": party.route_plan,
        "dynamic_blacklist": party.dynamic_blacklist.value,
        "score_threshold": party.score_threshold,
        "blacklist_plan": party.blacklist_plan,
        "has_password": party.has_password,
        "created_at": party.created_at.isoformat(),
    }


def _asked() -> str:
    if sys.stdin.isatty():
        answer: str = typer.prompt("password", hide_input=True, confirmation_prompt=True)
        return answer
    return sys.stdin.readline(PASSWORD_MAX + 2).rstrip("\r\n")
