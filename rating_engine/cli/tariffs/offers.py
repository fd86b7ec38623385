"""`rating-engine offer`: what users connect by themselves, and connecting it for them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff_offer import NewOffer, TariffOffer
from rating_engine.services.catalogue import UseCases

offers_app = typer.Typer(no_args_is_help=True, help="Tariffs that users connect by themselves, and with them numbers.")

Number = Annotated[int, typer.Argument(metavar="ID", help="As `offer list` shows it.")]


@offers_app.command(epilog='Example: rating-engine offer add "City number" --group Numbers --service 1 --number yes')
def add(
    name: Annotated[str, typer.Argument(help="As users read it.")],
    group: Annotated[str, typer.Option("--group", help="Where it is listed; made where there is none.")],
    service: Annotated[int, typer.Option("--service", metavar="ID", help="What it costs: a service that is public.")],
    tariff: Annotated[
        str | None, typer.Option("--tariff", help="What its user's calls are priced by then; as before if not given.")
    ] = None,
    number: Annotated[str, typer.Option("--number", metavar="yes|no", help="Whether it takes a number.")] = "no",
    region: Annotated[str, typer.Option("--region", help="Of the number; any if not given.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="Of the number too, as golden.")] = "",
    description: Annotated[str, typer.Option("--description", help="As users read it.")] = "",
    name_in: Annotated[
        list[str] | None, typer.Option("--name-in", metavar="LANGUAGE=NAME", help="Its name there; may be repeated.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Offer a service."""
    with reported_errors():
        new = NewOffer(
            group, service, name, _names(name_in or []), description, tariff, words.yes_or_no(number, "number"), region,
            kind,
        )  # fmt: skip
    offer_id = with_services(config, lambda services: services.tariff_offers.add(new))
    say(f"offer {offer_id} made: {name}")


@offers_app.command("list", epilog="Example: rating-engine offer list --json")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """What is offered, by groups."""
    offers = with_services(config, lambda services: services.tariff_offers.page())
    if json:
        print_json({"offers": [offer_json(each) for each in offers]})
        return
    table = Table("id", "group", "name", "setup", "price", "tariff", "number")
    for each in offers:
        of = each.service
        number = " ".join(part.name for part in (each.region, each.kind) if part is not None) or "any"
        table.add_row(
            str(each.offer_id), str(each.group_id), each.name, f"{of.setup_price.normalize():f} {of.currency}",
            f"{of.cost.normalize():f} {of.currency} a {of.period}", each.tariff or "",
            number if each.has_number else "none",
        )  # fmt: skip
    out.print(table)


@offers_app.command(epilog="Example: rating-engine offer remove 1")
def remove(offer: Number, config: ConfigOption = None) -> None:
    """Offer it no more; who has it keeps it."""
    with_services(config, lambda services: services.tariff_offers.remove(offer))
    say(f"offer {offer} removed")


@offers_app.command(epilog="Example: rating-engine offer connect 1 alice --did 4930123456")
def connect(
    offer: Number,
    user: Annotated[str, typer.Argument(metavar="USER")],
    did: Annotated[str | None, typer.Option("--did", metavar="NUMBER", help="Of a pool, or the user's own.")] = None,
    config: ConfigOption = None,
) -> None:
    """Connect it for a user, who pays for it."""

    async def connected(services: UseCases) -> None:
        did_id = None if did is None else (await services.dids.show(did)).did_id
        await services.tariff_offers.connect(user, offer, did_id)

    with_services(config, connected)
    say(f"offer {offer} connected for {user}")


def offer_json(offer: TariffOffer) -> dict[str, Any]:
    """As machines read it."""
    return {
        "id": offer.offer_id,
        "group": offer.group_id,
        "service": offer.service.service_id,
        "name": offer.name,
        "names": dict(offer.names),
        "tariff": offer.tariff,
        "number": offer.has_number,
        "region": None if offer.region is None else offer.region.name,
        "kind": None if offer.kind is None else offer.kind.name,
    }


def _names(texts: list[str]) -> dict[str, str]:
    names = {}
    for text in texts:
        language, equals, name = text.partition("=")
        if not equals:
            raise InvalidRequest("name_in", f"{text[:40]!r} is not LANGUAGE=NAME, as en=City")
        names[language] = name
    return names
