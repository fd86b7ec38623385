"""Every setting of the engine: one flat, frozen table, each with default, unit, bounds and the reason for it.

A key carries its unit as suffix (`_seconds`, `_ms`). Where a value comes from, later wins: the default here, the
configuration file, `RATING_<KEY>` in the environment, a flag (see `sources`). The groups stand in files of their own.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from agi.ami.address import parse_address
from agi.ari.address import parse_address as parse_ari_address
from rating_engine.settings.ari import AriSettings
from rating_engine.settings.calls import CallSettings
from rating_engine.settings.doors import DoorSettings
from rating_engine.settings.mail import MailSettings
from rating_engine.settings.maintenance import MaintenanceSettings
from rating_engine.settings.mor import MorSettings
from rating_engine.settings.numbers import NumberSettings
from rating_engine.settings.payments import PaymentSettings
from rating_engine.settings.providers import ProviderSettings
from rating_engine.settings.recordings import RecordingSettings
from rating_engine.settings.stores import StoreSettings
from rating_engine.settings.texts import Texts
from rating_engine.telemetry.redaction import redact_text


def _redacted(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_redacted(part) for part in value)
    return redact_text(value) if isinstance(value, str) else value


# The last group is the first one of the table.
class Settings(
    RecordingSettings,
    NumberSettings,
    PaymentSettings,
    AriSettings,
    CallSettings,
    ProviderSettings,
    MaintenanceSettings,
    MailSettings,
    MorSettings,
    DoorSettings,
    StoreSettings,
):
    """The settings of one engine. Immutable; read them with `rating_engine.settings.sources.load_settings`."""

    # --- when PostgreSQL is away
    spool_dir: str = Field(
        "",
        description="Directory of the spool: calls that ended while PostgreSQL was away, to be charged when it is back."
        " A local disk (no NFS: it needs locks and fsync), one directory for all engines of one database on this"
        " machine and for no others. Empty: spool-<a name made from database_url> below /var/lib/rating-engine for"
        " root, else below rating-engine in the user's data home.",
    )
    spool_max_bytes: int = Field(
        67_108_864,
        ge=65_536,
        le=1_099_511_627_776,
        description="Of the spool of one worker. A call takes 0.3 to 0.6 kB, so 64 MiB hold over 100,000: more than an"
        " hour at 25 calls a second. A full spool refuses, and the exchange is told that the call is not saved.",
    )
    on_database_down: Literal["decline", "allow_postpaid"] = Field(
        "decline",
        description="What callPrepare does while PostgreSQL is away. decline: no calls, reason unavailable."
        " allow_postpaid: the logins of allow_postpaid_logins may call without a reservation; their calls go to the"
        " spool.",
    )
    allow_postpaid_logins: Texts = Field(
        (),
        max_length=1_000,
        description="Logins of postpaid accounts that may call while PostgreSQL is away: each can run up any debt in"
        " that time, since balance, spend and call limits are not known. At most 1000: every engine keeps them in"
        " memory and reads them anew all the time. In the environment separated by commas.",
    )
    offline_max_seconds: int = Field(
        3_600,
        ge=1,
        le=86_400,
        description="The longest call that is allowed without PostgreSQL; a shorter limit of the subscriber or of"
        " max_call_seconds holds too. Bounds what a call costs that nobody checked.",
    )

    # --- rate decks
    deck_unserved_percent: int = Field(
        5,
        ge=0,
        le=100,
        description="A new deck that leaves more of the prefixes called within a day without a rate is held back"
        " until it is said with --force.",
    )

    # --- caches
    rate_cache_entries: int = Field(
        50_000,
        ge=0,
        le=10_000_000,
        description="Rates kept in the memory of one worker, least recently used out first; about 1 kB each. 0 = none.",
    )
    rate_cache_ttl_seconds: int = Field(
        3_600,
        ge=1,
        le=2_592_000,
        description="How long Redis keeps a rate. Staleness is no matter (a deck's version is in the key): this"
        " only clears away decks that are no longer used.",
    )
    subscriber_cache_entries: int = Field(
        20_000,
        ge=0,
        le=10_000_000,
        description="Subscribers kept in the memory of one worker; about 1 kB each. 0 = none. Money is never cached.",
    )

    # --- telemetry
    log_format: Literal["json", "console"] = Field(
        "json", description="json: one object a line, for machines; console: for people."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severity that is written. At info every call is two lines."
    )
    log_queue_bytes: int = Field(
        4_194_304,
        ge=4_096,
        le=1_073_741_824,
        description="Log lines that one worker keeps while whoever reads the log does not; beyond it they are dropped"
        " and counted, and calls go on. A call writes about 600 bytes.",
    )
    metrics_dir: str = Field(
        "",
        description="Where several workers share their metrics, in a directory of their own that goes with them; best"
        " on a memory file system. Empty: where temporary files go.",
    )

    def redacted(self) -> dict[str, Any]:
        """Every setting by key, with the passwords inside URLs replaced: fit for a log or a report."""
        return {key: _redacted(value) for key, value in self.model_dump().items()}

    @property
    def listeners(self) -> dict[str, tuple[str, int]]:
        """Every port that is listened on, by the name it goes by: host and port."""
        return {
            "fastagi": (self.fastagi_host, self.fastagi_port),
            "http": (self.http_host, self.http_port),
        }

    @model_validator(mode="after")
    def _check_offline_logins(self) -> Self:
        if self.on_database_down == "allow_postpaid" and not self.allow_postpaid_logins:
            raise ValueError("allow_postpaid_logins: must name a login while on_database_down is allow_postpaid")
        return self

    @model_validator(mode="after")
    def _check_exchange_names(self) -> Self:
        watched = {parse_address(text).exchange for text in self.ami_exchanges}
        if both := watched & {parse_ari_address(text).exchange for text in self.ari_exchanges}:
            name = min(both)
            raise ValueError(
                f"ari_exchanges: {name} is in ami_exchanges too: give it another name here, such as {name}-ari"
            )
        return self

    @model_validator(mode="after")
    def _check_shared_ports(self) -> Self:
        free = [name for name, (_, port) in self.listeners.items() if port == 0]
        if self.workers > 1 and free:
            raise ValueError(f"workers: must be 1 while {free[0]}_port is 0 (any free port)")
        return self
