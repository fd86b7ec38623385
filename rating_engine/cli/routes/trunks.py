"""`rating-engine routes trunks`: the gateways of an exchange, as its pjsip.conf takes them."""

from __future__ import annotations

from typing import Annotated

import typer

from rating_engine.cli.common import ConfigOption, with_services
from rating_engine.services.routes.pjsip_trunks import trunk_sections


def trunks(
    exchange: Annotated[str, typer.Argument(metavar="EXCHANGE", help="By its name: exchange servers.")],
    config: ConfigOption = None,
) -> None:
    """Print the trunks of the routes that were made for an exchange, with their passwords, for its pjsip.conf."""
    found = with_services(config, lambda services: services.gateways.trunks(exchange))
    typer.echo(trunk_sections(found), nl=False)
