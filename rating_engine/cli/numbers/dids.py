"""`rating-engine did`: telephone numbers that calls come in by, and `rating-engine did-pool`: where they come from."""

from __future__ import annotations

from typing import Annotated, Any

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
    run,
    say,
    with_services,
    working_services,
)
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.did import Did, DidChanges, DidPool, DidState, NewDid, NewPool, PoolChanges
from rating_engine.services.numbers.rents import RentTurn

dids_app = typer.Typer(no_args_is_help=True, help="Numbers that calls come in by: owners, rents, limits.")
pools_app = typer.Typer(no_args_is_help=True, help="Pools that numbers are ordered from.")

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="Digits, the country first: 4930123456.")]
Cost = Annotated[str | None, typer.Option("--cost", metavar="AMOUNT", help="Of a month.")]
Currency = Annotated[str | None, typer.Option("--currency", metavar="CODE", help="Of the prices; the system's.")]
Comment = Annotated[str | None, typer.Option("--comment", help="For people.")]
Until = Annotated[str | None, typer.Option("--paid-to", metavar="MOMENT", help="End of what is paid: 2026-12-31.")]


@dids_app.command(epilog="Example: rating-engine did add 4930123456 --owner alice --cost 2.50")
def add(
    number: Number,
    owner: Annotated[str | None, typer.Option("--owner", metavar="USER", help="Whose it is.")] = None,
    pool: Annotated[int | None, typer.Option("--pool", metavar="ID", help="Or the pool to order it from.")] = None,
    cost: Cost = None,
    currency: Currency = None,
    paid_to: Until = None,
    comment: Comment = None,
    config: ConfigOption = None,
) -> None:
    """Give a number to a user, or put it into a pool; nothing is taken for it before its month ends."""
    with reported_errors():
        new = NewDid(
            number,
            owner,
            pool,
            words.amount(cost or "0", "cost"),
            currency,
            None if paid_to is None else words.moment(paid_to, "paid_to"),
            comment or "",
        )
    _say(with_services(config, lambda services: services.dids.add(new)))


@dids_app.command("list", epilog="Example: rating-engine did list --state unpaid")
def list_(
    state: Annotated[str | None, typer.Option("--state", help="free, ordered, active, unpaid or closed.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Numbers, whose they are, and until when they are paid."""
    with reported_errors():
        wanted = None if state is None else words.choice(DidState, state, "state")
    page = with_services(
        config,
        lambda services: listed(lambda cursor: services.dids.page(cursor, state=wanted), limit, after),
    )
    if json:
        print_json({"dids": [did_json(did) for did in page.items], **next_json(page)})
        return
    table = Table("number", "owner", "state", "paid to", Column("a month", justify="right"), "renewed", "comment")
    for did in page.items:
        state_word = did.state if did.enabled else f"{did.state}, off"
        paid_to = "" if did.paid_to is None else did.paid_to.strftime("%Y-%m-%d %H:%M:%SZ")
        price = f"{did.monthly_price.normalize():f} {did.currency}"
        table.add_row(
            did.number, did.owner or "", state_word, paid_to, price, "yes" if did.auto_renew else "no", did.comment
        )
    out.print(table)
    say_next(page)


@dids_app.command(epilog="Example: rating-engine did show 4930123456 --json")
def show(number: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """One number."""
    did = with_services(config, lambda services: services.dids.show(number))
    if json:
        print_json(did_json(did))
    else:
        _say(did)


@dids_app.command("set", epilog="Example: rating-engine did set 4930123456 --max-calls 2 --auto-renew no")
def set_(
    number: Number,
    owner: Annotated[str | None, typer.Option("--owner", metavar="USER", help="Its rules go with the old one.")] = None,
    cost: Cost = None,
    paid_to: Until = None,
    comment: Comment = None,
    max_calls: Annotated[str | None, typer.Option("--max-calls", metavar="N", help="At a time; 0: any number.")] = None,
    line: Annotated[
        str | None, typer.Option("--line", metavar="LOGIN", help="Who pays and rings; none: the owner's first.")
    ] = None,
    enabled: Annotated[str | None, typer.Option("--enabled", metavar="yes|no", help="Whether it takes calls.")] = None,
    auto_renew: Annotated[
        str | None, typer.Option("--auto-renew", metavar="yes|no", help="Whether its months are paid by themselves.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Change a number, for the next call everywhere."""
    with reported_errors():
        changes = DidChanges(
            owner=words.if_given(owner, str),
            comment=words.if_given(comment, str),
            monthly_price=words.if_given(cost, lambda text: words.amount(text, "cost")),
            paid_to=words.if_given(paid_to, lambda text: words.moment(text, "paid_to")),
            max_calls=words.if_given(max_calls, lambda text: words.whole(text, "max_calls")),
            line=words.unless_none(line, str),
        )
        switches = {
            name: words.yes_or_no(text, name)
            for name, text in (("enabled", enabled), ("auto_renew", auto_renew))
            if text is not None
        }

    async def work() -> Did:
        async with working_services(load_settings(config)) as services:
            changed = await services.dids.change(number, changes)
            return await services.dids.set_state(number, **switches) if switches else changed

    _say(run(work()))


@dids_app.command(epilog="Example: rating-engine did order 4930123456 --pool 1 --owner alice")
def order(
    number: Number,
    pool: Annotated[int, typer.Option("--pool", metavar="ID", help="Where it is to be had.")],
    owner: Annotated[str, typer.Option("--owner", metavar="USER", help="Who pays connection and first month.")],
    config: ConfigOption = None,
) -> None:
    """Order a free number of a pool for a user."""
    _say(with_services(config, lambda services: services.dids.order(number, pool, owner)))


@dids_app.command(epilog="Example: rating-engine did renew 4930123456")
def renew(number: Number, config: ConfigOption = None) -> None:
    """Pay a month more, from the account of its owner."""
    _say(with_services(config, lambda services: services.dids.renew(number)))


@dids_app.command(epilog="Example: rating-engine did remove 4930123456")
def remove(number: Number, config: ConfigOption = None) -> None:
    """Close a number: it is nobody's, and takes no calls."""
    with_services(config, lambda services: services.dids.remove(number))
    say(f"number {number} is closed")


@dids_app.command(epilog="Example: rating-engine did rents")
def rents(config: ConfigOption = None) -> None:
    """Take the rents that are due now, as the engine does each minute."""

    async def work() -> RentTurn:
        settings = load_settings(config)
        async with working_services(settings) as services:
            return await services.dids.turn_rents(
                grace_days=settings.did_grace_days, notice_days=settings.did_notice_days
            )

    turn = run(work())
    say(
        f"{turn.renewed} renewed, {turn.unpaid} without money, {turn.closed} closed, {turn.notified} told,"
        f" {turn.orders} orders ended"
    )


@dids_app.command(epilog="Example: rating-engine did price retail --by inbound-retail")
def price(
    tariff: Annotated[str | None, typer.Argument(metavar="[TARIFF]", help="Of who owns numbers; none: all.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="TARIFF", help="Whose rates for the number called; none: free.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """What calls that come in cost the owner of the number, by his tariff."""
    if tariff is None:
        table = Table("tariff", "calls coming in by")
        for each in with_services(config, lambda services: services.dids.inbound_prices()):
            table.add_row(*each)
        out.print(table)
        return
    if by is None:
        raise typer.BadParameter("say --by TARIFF, or --by none", param_hint="--by")
    inbound = None if by == words.NONE else by
    with_services(config, lambda services: services.dids.set_inbound_price(tariff, inbound))
    say(f"calls coming in to {tariff} " + ("cost nothing" if inbound is None else f"are priced by {inbound}"))


Region = Annotated[str | None, typer.Option("--region", help="By which its numbers are offered, as 7-812.")]
Kind = Annotated[str | None, typer.Option("--kind", help="By which they are offered too, as golden.")]


@pools_app.command("add", epilog="Example: rating-engine did-pool add --country Germany --area Berlin --cost 2.50")
def add_pool(
    country: Annotated[str, typer.Option("--country", help="As people choose it.")],
    area: Annotated[str, typer.Option("--area", help="A town or region of it.")],
    cost: Cost = None,
    setup: Annotated[str | None, typer.Option("--setup", metavar="AMOUNT", help="Once, with the order.")] = None,
    currency: Currency = None,
    provider: Annotated[str, typer.Option("--provider", help="Who has the numbers; local: we do.")] = "local",
    quantity: Annotated[int, typer.Option("--quantity", help="Numbers shown at a time.")] = 100,
    region: Region = None,
    kind: Kind = None,
    config: ConfigOption = None,
) -> None:
    """Make a pool; `did add NUMBER --pool ID` puts numbers into it."""
    with reported_errors():
        new = NewPool(
            country,
            area,
            words.amount(cost or "0", "cost"),
            words.amount(setup or "0", "setup"),
            currency,
            provider,
            quantity=quantity,
            region=region or "",
            kind=kind or "",
        )
    pool = with_services(config, lambda services: services.did_pools.add(new))
    say(f"pool {pool.pool_id} made: {pool.country}, {pool.area}")


@pools_app.command("list", epilog="Example: rating-engine did-pool list --json")
def list_pools(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Pools, their prices, and how many numbers are to be had."""
    page = with_services(config, lambda services: listed(services.did_pools.page, limit, after))
    if json:
        print_json({"pools": [pool_json(pool) for pool in page.items], **next_json(page)})
        return
    table = Table("id", "country", "area", "provider", "a month", "once", Column("free", justify="right"))
    for pool in page.items:
        month, once = (f"{amount.normalize():f} {pool.currency}" for amount in (pool.monthly_price, pool.setup_price))
        table.add_row(str(pool.pool_id), pool.country, pool.area, pool.provider, month, once, f"{pool.free:,}")
    out.print(table)
    say_next(page)


@pools_app.command("set", epilog="Example: rating-engine did-pool set 1 --cost 3.00")
def set_pool(
    pool: Annotated[int, typer.Argument(metavar="ID")],
    cost: Cost = None,
    setup: Annotated[str | None, typer.Option("--setup", metavar="AMOUNT", help="Once, with the order.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Who has the numbers.")] = None,
    region: Region = None,
    kind: Kind = None,
    config: ConfigOption = None,
) -> None:
    """Change what numbers cost that are ordered from now on."""
    with reported_errors():
        changes = PoolChanges(
            monthly_price=words.if_given(cost, lambda text: words.amount(text, "cost")),
            setup_price=words.if_given(setup, lambda text: words.amount(text, "setup")),
            provider=words.if_given(provider, str),
            region=words.if_given(region, _none_is_empty),
            kind=words.if_given(kind, _none_is_empty),
        )
    changed = with_services(config, lambda services: services.did_pools.change(pool, changes))
    say(f"pool {changed.pool_id} set")


@pools_app.command("remove", epilog="Example: rating-engine did-pool remove 1")
def remove_pool(pool: Annotated[int, typer.Argument(metavar="ID")], config: ConfigOption = None) -> None:
    """Remove a pool; its free numbers are closed, those of owners stay theirs."""
    with_services(config, lambda services: services.did_pools.remove(pool))
    say(f"pool {pool} removed")


def _none_is_empty(text: str) -> str:
    return "" if text == words.NONE else text


def did_json(did: Did) -> dict[str, Any]:
    """As machines read it."""
    return {
        "number": did.number,
        "owner": did.owner,
        "state": did.state,
        "enabled": did.enabled,
        "auto_renew": did.auto_renew,
        "monthly_price": str(did.monthly_price),
        "currency": did.currency,
        "paid_to": None if did.paid_to is None else did.paid_to.isoformat(),
        "notified": did.notified,
        "pool": did.pool_id,
        "line": did.line,
        "max_calls": did.max_calls,
        "comment": did.comment,
    }


def pool_json(pool: DidPool) -> dict[str, Any]:
    """The same of a pool."""
    return {
        "id": pool.pool_id,
        "country": pool.country,
        "area": pool.area,
        "region": pool.region,
        "kind": pool.kind,
        "monthly_price": str(pool.monthly_price),
        "setup_price": str(pool.setup_price),
        "currency": pool.currency,
        "provider": pool.provider,
        "quantity": pool.quantity,
        "free": pool.free,
    }


def _say(did: Did) -> None:
    whose = f"of {did.owner}" if did.owner else "nobody's"
    paid = "" if did.paid_to is None else f", paid to {did.paid_to:%Y-%m-%d %H:%M:%S}Z"
    say(f"number {did.number} {whose}: {did.state}{'' if did.enabled else ', switched off'}{paid}")
