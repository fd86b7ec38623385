"""The services of management, wired: settings in, every use case out. What serves calls is wired in `engine`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from agi.ami.address import parse_address
from agi.ami.connection import AmiConnection
from agi.channel_variables import RATING_QUOTA
from agi.dialplan_check import check_dialplan, unsafe_values
from agi.pjsip_check import check_trunks
from rating_engine.adapters.carriers import carriers_of
from rating_engine.adapters.espeak import Espeak
from rating_engine.adapters.exchange_files import ListedHosts
from rating_engine.adapters.exchange_rates_http import PublishedRates
from rating_engine.adapters.gsm_http import HttpProviders
from rating_engine.adapters.paper.printer import InvoicePrinter
from rating_engine.adapters.payment_gateway import gateways
from rating_engine.adapters.voice_files import VoiceFiles
from rating_engine.domain.errors import Refused, Unavailable
from rating_engine.engine.calling import policy_of
from rating_engine.services.catalogue import Services, Ways
from rating_engine.services.doctor import Dialplan, Installation
from rating_engine.services.finance.payments import PaymentWays
from rating_engine.services.integrity import Places
from rating_engine.services.maintenance import Upkeep
from rating_engine.services.messaging.carriers import Carriers
from rating_engine.services.parties.request_limits import RequestLimits
from rating_engine.services.recordings import RecordingFiles
from rating_engine.settings.model import Settings
from rating_engine.settings.spool_directory import spool_directory
from rating_engine.storage.postgres.migrate import MigrationReport
from rating_engine.storage.postgres.migrate import migrate as migrate_database
from rating_engine.storage.postgres.pool import Database

__all__ = ["MigrationReport", "Services", "make_services", "migrate_database", "open_services"]

# It answers a person or a program that manages, not a call: a large statement may take its time.
OFFICE_TIMEOUT_SECONDS: Final = 60.0
PJSIP: Final = "res_pjsip.so"
COMMAND_CONNECTIONS: Final = 2  # one for the work of a command, one for what is kept meanwhile


def make_services(
    settings: Settings, office: Database, limits: RequestLimits | None = None, carriers: Carriers | None = None
) -> Services:
    """Every use case over a database that is open; `limits`: how often those who ask over HTTP may.

    `carriers`: those of this process, which a queue of it has too; None: of the settings.
    """
    return Services(
        office,
        Ways(
            database_url=settings.database_url,
            ledger_buckets=settings.ledger_buckets,
            international_prefix=settings.international_prefix,
            system_currency=settings.system_currency,
            route_quality_window_seconds=settings.route_quality_window_seconds,
            deck_unserved_percent=settings.deck_unserved_percent,
            policy=policy_of(settings),
            installation=_installation(settings),
            places=_places(settings),
            mor_https_only=settings.mor_https_only,
            ban_wrong_keys=settings.ban_wrong_keys,
            ban_window_seconds=settings.ban_window_seconds,
            ban_seconds=settings.ban_seconds,
            upkeep=upkeep_of(settings),
            gsm=HttpProviders(settings.gsm_providers),
            speaker=Espeak(settings.speech_program),
            payments=_payments(settings),
            print_invoice=InvoicePrinter(),
            secret_keys=settings.secret_keys,
            reload_phones=partial(_reload_phones, settings.ami_exchanges),
            voice=VoiceFiles(
                settings.voice_directory, ListedHosts(settings.voice_file_hosts, "voice_file_hosts").fetch
            ),
            carriers=carriers_of(settings.message_carriers) if carriers is None else carriers,
            ask_exchange=partial(ask_exchange, settings.ami_exchanges),
            fetch_file=ListedHosts(settings.exchange_file_hosts).fetch,
            proxies=tuple(map(ip_network, settings.http_trusted_proxies)),
            recordings=recordings_of(settings),
            webhook_private_hosts=settings.webhook_private_hosts,
            exchange_hosts={each.exchange: each.host for each in map(parse_address, settings.ami_exchanges)},
        ),
        limits,
    )


def recordings_of(settings: Settings) -> RecordingFiles:
    """Where recordings are, and how they are reached."""
    return RecordingFiles(settings.recordings_directory, settings.recording_link_seconds, settings.public_url)


def upkeep_of(settings: Settings) -> Upkeep:
    """How what runs by itself is to be done."""
    rates = PublishedRates(settings.exchange_rate_url, settings.exchange_rate_field)
    return Upkeep(
        did_grace=timedelta(days=settings.did_grace_days),
        did_notice=timedelta(days=settings.did_notice_days),
        ask_rate=rates.ask if settings.exchange_rate_url else None,
        rate_jump_percent=settings.exchange_rate_jump_percent,
        system_currency=settings.system_currency,
        invoice_days=settings.invoice_days,
        print_invoice=InvoicePrinter(),
        recordings=recordings_of(settings),
    )


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Every use case for as long as a command runs. Errors: Unavailable where the database cannot be used."""
    office = Database(
        settings.database_url,
        door="office",
        pool_size=COMMAND_CONNECTIONS,
        timeout_seconds=OFFICE_TIMEOUT_SECONDS,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
        late_is_away=False,
    )
    try:
        try:
            await office.open()
        except ValueError:  # the driver's, about a PG… variable or the URL; its words may repeat a secret
            raise Unavailable("PostgreSQL cannot be used: database_url, or a PG… variable, says no way to it") from None
        if office.down is not None:
            raise Unavailable(f"PostgreSQL cannot be used: {office.down}", hint=office.hint)
        yield make_services(settings, office)
    finally:
        await office.close()


async def _reload_phones(ami_exchanges: tuple[str, ...], exchange: str) -> bool:
    """Have an exchange read its pjsip.conf anew. Errors: Refused, Unavailable."""
    return await ask_exchange(ami_exchanges, {exchange}, "Reload", {"Module": PJSIP}) is not None


async def ask_exchange(
    ami_exchanges: tuple[str, ...], names: Collection[str], action: str, fields: Mapping[str, str]
) -> Mapping[str, str] | None:
    """What an exchange of one of these names or hosts answers; None: there is none. Errors: Refused, Unavailable."""
    addresses = map(parse_address, ami_exchanges)
    address = next((each for each in addresses if not {each.exchange, each.host}.isdisjoint(names)), None)
    if address is None:
        return None
    connection = AmiConnection(address, lambda event: None)
    try:
        await connection.open()
        answer = await connection.ask(action, **fields)
    except OSError as error:
        raise Unavailable(f"{address.exchange}: {error.strerror or type(error).__name__}") from None
    finally:
        connection.close()
    if str(answer.get("Response", "")).lower() != "success":
        raise Refused(f"{address.exchange} refuses {action}: {answer.get('Message', 'no reason given')}")
    return {name: str(value) for name, value in answer.items()}


def _payments(settings: Settings) -> PaymentWays:
    return PaymentWays(
        handlers=gateways(settings.payment_handlers),
        minimal=Decimal(settings.payment_minimal or 0),
        minimal_start=Decimal(settings.payment_minimal_start or 0),
        maximum=Decimal(settings.payment_maximum) if settings.payment_maximum else None,
        days=settings.invoice_days,
        system_currency=settings.system_currency,
    )


def _places(settings: Settings) -> Places:
    """The directories of this machine that are written to."""
    named = (
        ("ends of calls on disk", str(spool_directory(settings.spool_dir, settings.database_url))),
        ("the embedded servers' data", settings.embedded_data_dir),
        ("recordings", settings.recordings_directory),
        ("spoken messages", settings.voice_directory),
    )
    there = tuple((what, Path(directory).expanduser()) for what, directory in named if directory)
    return Places(there, settings.free_space_min_percent)


def _installation(settings: Settings) -> Installation:
    may_call_offline = settings.on_database_down == "allow_postpaid"
    return Installation(
        redis_url=settings.redis_url,
        spool_directory=spool_directory(settings.spool_dir, settings.database_url),
        spool_max_bytes=settings.spool_max_bytes,
        offline_logins=settings.allow_postpaid_logins if may_call_offline else (),
        quota_by_default=settings.reservation_mode == "quota" and bool(settings.ami_exchanges),
        watches_exchanges=bool(settings.ami_exchanges or settings.ari_exchanges),
        default_route=(settings.default_route_name, settings.default_route_prefix),
        dialplan=Dialplan(
            check=check_dialplan, check_trunks=check_trunks, unsafe=unsafe_values, quota_variable=RATING_QUOTA
        ),
    )
