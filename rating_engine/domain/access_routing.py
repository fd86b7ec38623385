"""Who may say where calls go, and whom numbers keep out: of domain/access the part about routes and their plans, and
about pools and scores of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.domain.party import Level
from rating_engine.domain.rights import Right
from rating_engine.domain.rights import party as _party
from rating_engine.domain.rights import reads as _reads
from rating_engine.domain.rights import route as _route
from rating_engine.domain.rights import system as _system
from rating_engine.domain.rights import writes as _writes

ROUTING: Final[Mapping[str, Right]] = {
    "number_pools.add": _system("users"),
    "number_pools.show": _system("users", "read"),
    "number_pools.page": _system("users", "read"),
    "number_pools.remove": _system("users"),
    "number_pools.numbers": _system("users", "read"),
    "number_pools.put": _system("users"),
    "number_pools.take": _system("users"),
    "number_pools.set_list": _system("users"),
    "number_pools.lists_of": _reads("users", _party()),
    "gateways.page": _reads("routes", least=Level.RESELLER, own=True),
    "gateways.show": _reads("routes", _route(), least=Level.RESELLER),
    "gateways.add": Right("routes:write", Level.RESELLER, own=True),
    "gateways.change": _writes("routes", _route()),
    "gateways.set_enabled": _writes("routes", _route()),
    "gateways.remove": _writes("routes", _route()),
    "gateways.trunks": _system("routes"),
    "routes.add": _system("routes"),
    "routes.add_window": _system("routes"),
    "routes.change": _system("routes"),
    "routes.clear_windows": _system("routes"),
    "routes.page": _system("routes", "read"),
    "routes.remove": _system("routes"),
    "routes.rule_prefixes": _system("routes"),
    "routes.set_enabled": _system("routes"),
    "routes.set_tariff_routes": _system("routes"),
    "routes.show": _system("routes", "read"),
    "routes.tariff_routes": _system("routes", "read"),
    "route_reports.loads": _system("routes", "read"),
    "route_reports.quality": _system("routes", "read"),
    "route_trials.try_call": _system("routes", "read"),
    "route_plans.add": _system("routes"),
    "route_plans.change": _system("routes"),
    "route_plans.show": _system("routes", "read"),
    "route_plans.numbered": _system("routes", "read"),
    "route_plans.page": _system("routes", "read"),
    "route_plans.remove": _system("routes"),
    "route_plans.blacklist": _system("routes", "read"),
    "route_plans.set_blacklist": _system("routes"),
    "number_scores.put": _system("routes"),
    "number_scores.take": _system("routes"),
    "number_scores.page": _system("routes", "read"),
}
