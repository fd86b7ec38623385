"""The HTTP surfaces, wired: what each of them is given."""

from __future__ import annotations

from starlette.routing import BaseRoute

from rating_engine.api.narayana.asked import CallCharging
from rating_engine.api.narayana.surface import Narayana
from rating_engine.services.catalogue import Services


def surfaces_of(services: Services, charging: CallCharging) -> list[BaseRoute]:
    """Every surface under its own paths."""
    # Here, since its library takes a quarter of a second to load, which commands that serve nothing need not wait for.
    from rating_engine.api.tenant.routes import tenant_routes

    return [Narayana(services, charging).route(), tenant_routes(services)]
