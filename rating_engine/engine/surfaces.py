"""The HTTP surfaces, wired: what each of them is given, and how often it may be asked by whom."""

from __future__ import annotations

from ipaddress import ip_network
from zoneinfo import ZoneInfo

from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from rating_engine.api.billing import BillingApi
from rating_engine.api.common.client import BehindProxies, ProxyHeader
from rating_engine.api.mor.surface import Mor, MorRules
from rating_engine.api.narayana.asked import CallCharging
from rating_engine.api.narayana.surface import Narayana
from rating_engine.api.recordings import recording_routes
from rating_engine.api.teleum.surface import Teleum
from rating_engine.domain.ban_sets import BanFileForm
from rating_engine.services.catalogue import Services
from rating_engine.services.parties.bans import BanBook
from rating_engine.services.parties.request_limits import MostAMinute, RequestLimits
from rating_engine.settings.model import Settings
from rating_engine.storage.parties.ban_file import BanFile
from rating_engine.storage.parties.rate_counters import RateCounters
from rating_engine.telemetry.metrics import Metrics


def surfaces_of(services: Services, charging: CallCharging, settings: Settings, metrics: Metrics) -> list[BaseRoute]:
    """Every surface under its own paths."""
    # Here, since its library takes a quarter of a second to load, which commands that serve nothing need not wait for.
    from rating_engine.api.tenant.routes import tenant_routes

    billing = BillingApi(
        Narayana(services, charging), Mor(services, charging, mor_rules_of(settings), metrics.weak_hash)
    )
    teleum = Teleum(services, settings.public_url).routes()  # before the tenants, whose paths begin as its
    return [billing.route(), *teleum, *recording_routes(services), tenant_routes(services)]


def mor_rules_of(settings: Settings) -> MorRules:
    """What the MOR XML API takes, and how it answers."""
    return MorRules(
        get=settings.mor_allow_get,
        lenient=settings.mor_lenient_hashes,
        https_only=settings.mor_https_only,
        telephones=settings.mor_telephone_balances,
        conflines=settings.mor_conflines,
        money_by_post=settings.mor_money_by_post,
        repeat_seconds=settings.mor_repeat_seconds,
        mails=bool(settings.smtp_url),
        zone=ZoneInfo(settings.mor_time_zone),
    )


def behind_proxies(settings: Settings, services: Services) -> Middleware:
    """What finds out who asks, where proxies stand before the port."""
    return Middleware(
        BehindProxies,
        trusted=tuple(map(ip_network, settings.http_trusted_proxies)),
        header=ProxyHeader(settings.http_proxy_header),
        is_banned=services.access.bans.refuses,
    )


def ban_file_of(settings: Settings, bans: BanBook) -> BanFile:
    """Where bans are written for the packet filter of this machine."""
    form = BanFileForm(settings.ban_file_format)
    return BanFile(settings.ban_file, form, settings.ban_file_command, lambda: bans.known)


def counters_of(settings: Settings) -> RateCounters:
    """Where requests are counted."""
    return RateCounters(settings.redis_url, timeout_seconds=settings.redis_timeout_ms / 1000)


def limits_of(settings: Settings, counters: RateCounters, metrics: Metrics) -> RequestLimits:
    """How often may be asked."""
    most = MostAMinute(
        address=settings.address_requests_per_minute,
        client_key=settings.client_key_requests_per_minute,
        server_key=settings.server_key_requests_per_minute,
    )
    return RequestLimits(counters, most, on_limited=metrics.request_limited)
