"""Every setting of the engine: one flat, frozen table, each with default, unit, bounds and the reason for it.

A key carries its unit as suffix (`_seconds`, `_ms`). Where a value comes from, later wins: the default here, the
configuration file, `RATING_<KEY>` in the environment, a flag (see `settings_sources`).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from agi.ami.address import parse_address
from rating_engine.settings.urls import check_database_url, check_redis_url
from rating_engine.telemetry.redaction import redact_text

SMALLINT_MAX: Final = 32_767  # a ledger bucket is a smallint in every key of the schema
ROUTE: Final = re.compile(r"(?:(?P<prefix>[A-Za-z0-9_./@:*#+-]{0,64})\|)?(?P<name>[A-Za-z0-9_.-]{1,64})")


def _tuple_from_list(value: object) -> object:
    """A TOML array as a tuple, which a frozen table wants; anything else is left for the type check."""
    return tuple(value) if isinstance(value, list) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_tuple_from_list)]
Networks = Texts
Port = Annotated[int, Field(ge=0, le=65_535)]


def _redacted(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_redacted(part) for part in value)
    return redact_text(value) if isinstance(value, str) else value


class Settings(BaseModel):
    """The settings of one engine. Immutable; read them with `rating_engine.settings.sources.load_settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    # --- PostgreSQL
    database_url: str = Field(
        "",
        repr=False,
        description="postgresql://USER:PASSWORD@HOST:PORT/DATABASE. Several hosts are tried in turn"
        " (…@one:5432,two:5432/…); with them ?target_session_attrs=read-write finds the primary."
        " Empty: only `--embedded` can run.",
    )
    database_pool_size: int = Field(
        8,
        ge=2,
        le=200,
        description="Connections of one worker for calls. The batches need few: two per ledger bucket; the rest is for"
        " look-ups. Workers times this, database_office_pool_size and two more has to stay below max_connections.",
    )
    database_timeout_seconds: float = Field(
        2.0,
        ge=0.05,
        le=60.0,
        description="Deadline of one statement of a call. A caller hears silence while it waits; after it the call is"
        " declined as unavailable.",
    )
    database_office_pool_size: int = Field(
        4,
        ge=2,
        le=200,
        description="Connections of one worker for everything else: management, reports, the leader's measuring."
        " However slow that is, calls never wait for it. What finds all of them busy waits, then is told to come back.",
    )
    database_office_timeout_seconds: float = Field(
        30.0,
        ge=0.05,
        le=600.0,
        description="Deadline of one statement of these, and of waiting for a connection. A person waits, not a caller:"
        " long enough for a report, short enough to notice one that never ends.",
    )
    database_connect_timeout_seconds: float = Field(
        1.0,
        ge=0.05,
        le=60.0,
        description="Deadline of one attempt to connect. With several hosts a dead one costs this much.",
    )

    # --- Redis
    redis_url: str = Field(
        "",
        repr=False,
        description="redis://[:PASSWORD@]HOST:PORT/DB, rediss:// or unix://. Empty: no Redis; rates then come"
        " from process memory and PostgreSQL. Redis never decides anything, it only saves look-ups.",
    )
    redis_timeout_ms: int = Field(
        50,
        ge=1,
        le=5_000,
        description="Deadline of one Redis command. Longer than this PostgreSQL is the faster answer.",
    )

    # --- FastAGI
    fastagi_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on. AGI has no password: open it to Asterisk machines only, together"
        " with fastagi_allowed_networks.",
    )
    fastagi_port: Port = Field(4573, description="4573 is the port Asterisk assumes in agi://HOST. 0 = any free.")
    fastagi_allowed_networks: Networks = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Networks that may connect; others are cut off before a byte is read. In the environment"
        " separated by commas.",
    )
    fastagi_max_connections: int = Field(
        800,
        ge=1,
        le=100_000,
        description="Open FastAGI connections of one worker. Where all are taken, the one that has waited longest for"
        " its request gives way to a new one; only if all are calls the new one is refused. A process has 1,024 file"
        " descriptors by default, and PostgreSQL, Redis and HTTP need some.",
    )
    fastagi_request_timeout_seconds: float = Field(
        5.0,
        ge=0.1,
        le=300.0,
        description="From the connection to the end of its request's header. Asterisk sends it at once; who"
        " sends one byte a second is not Asterisk.",
    )

    # --- HTTP
    http_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on for metrics and health, which have no password.",
    )
    http_port: Port = Field(8080, description="Port of metrics and health. 0 = any free.")
    http_max_connections: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Open HTTP connections of one worker. Where all are taken, the one that has waited longest for a"
        " request gives way to a new one; only if all are being answered the new one gets 503.",
    )

    # --- bans
    ban_wrong_keys: int = Field(
        5,
        ge=0,
        le=100,
        description="So many different wrong API keys from one address (of IPv6: its /64) within ban_window_seconds ban"
        " it. The same wrong key again, as of one old telephone, counts once; whitelisted addresses never. One would"
        " lock a whole office out for a slip. 0: nothing is banned by itself.",
    )
    ban_window_seconds: int = Field(3_600, ge=1, le=86_400, description="How long a wrong key is remembered.")
    ban_seconds: int = Field(
        3_600,
        ge=0,
        le=31_536_000,
        description="How long such a ban lasts. Who guesses keys of 256 bits gets nowhere in any time; who has put an"
        " old key into a telephone is let in again by itself. 0: until somebody takes it away.",
    )

    # --- processes
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Engine processes that share the ports. One per core is enough; each holds its own caches"
        " and database pool.",
    )
    shutdown_seconds: float = Field(
        10.0,
        ge=0.0,
        le=600.0,
        description="How long a stopping engine lets running requests finish; a request takes milliseconds."
        " What is cut after it is logged.",
    )
    embedded_data_dir: str = Field(
        "",
        description="Where `serve --embedded` keeps its PostgreSQL. Empty: /var/lib/rating-engine for root, else"
        " rating-engine below the user's data home (~/.local/share).",
    )

    # --- charging
    default_route: str = Field(
        "default",
        description="Route of a call while no routes are configured: NAME or PREFIX|NAME. The prefix goes before"
        " the number in RATING_ROUTE_PREFIX, the name into RATING_ROUTE_NAME.",
    )
    international_prefix: str = Field(
        "00",
        pattern=r"^[0-9*#]{0,8}$",
        description="Digits dialled before an international number; taken off, like a leading +. Empty: none.",
    )
    max_call_seconds: int = Field(
        14_400,
        ge=1,
        le=86_400,
        description="The longest call where neither its login (--max-seconds) nor its account (--max-call-seconds) has"
        " a limit: longer than people talk, and short enough that a line left off the hook is no month's bill. A"
        " prepaid call that nobody can lengthen ends after max_reserve_seconds.",
    )
    max_reserve_seconds: int = Field(
        3_600,
        ge=1,
        le=86_400,
        description="The most that a prepaid call without such a limit holds money for at a time; its end where its"
        " exchange is not watched (AMI). Longer binds more money, and for longer where a finish is lost.",
    )
    reservation_mode: Literal["full", "quota"] = Field(
        "quota",
        description="of accounts that don't say. quota: a call holds the money of quota_seconds at a time, so that"
        " many calls share one balance; from an exchange that nobody watches (AMI), where it could not be lengthened,"
        " at most reservation_share_percent of what is available. full: a call holds the money of its whole length,"
        " and the first one may hold everything.",
    )
    reservation_share_percent: int = Field(
        50,
        ge=1,
        le=100,
        description="A call that cannot be lengthened holds at most so much of what is available, and is cut when that"
        " is used up, so that a second phone, a transfer or a callback's other leg can call as well. Half leaves the"
        " next call as long as this one; 100 leaves it nothing. The last call that an account may have (--max-calls)"
        " holds all there is.",
    )
    reservation_floor_seconds: int = Field(
        300,
        ge=1,
        le=86_400,
        description="But at least the money of so many seconds, as far as there is so much: a share of little money"
        " would be no call, and five minutes are longer than most.",
    )
    quota_seconds: int = Field(
        120, ge=10, le=3_600,
        description="one slice of a call in quota mode. Shorter shares a balance more fairly, longer asks the"
        " database less often.",
    )  # fmt: skip
    reservation_grace_seconds: int = Field(
        600,
        ge=10,
        le=86_400,
        description="How long past its maximum a reservation waits for its finish before it expires and frees its"
        " money. It has to cover ringing and a finish that is repeated; a finish after it is still charged.",
    )
    expiry_interval_seconds: float = Field(
        30.0,
        ge=0.1,
        le=3_600.0,
        description="How often reservations without a finish are looked for. A lost finish binds money for at most"
        " this much longer.",
    )
    expiry_policy: Literal["seen", "granted", "void"] = Field(
        "seen",
        description="What a call costs that was seen answered and has expired without a finish, its exchange out of"
        " reach. seen: until it was last seen alive; granted: all it was allowed; void: nothing. A finish that comes"
        " later corrects it.",
    )

    # --- exchanges
    ami_exchanges: Texts = Field(
        (),
        repr=False,
        description="Exchanges to watch over Asterisk's manager interface: NAME=ami://USER:SECRET@HOST:PORT, with"
        " ?tls=1 (and &ca=FILE) over TLS. NAME is what calls are known by: the address Asterisk calls from, or the"
        " dialplan's ?exchange=NAME. In the environment separated by commas. Without it no call is reserved in slices,"
        " and one whose finish is lost waits for its expiry.",
    )
    ami_warning_seconds: int = Field(
        0,
        ge=0,
        le=300,
        description="A caller on a watched exchange hears a warning this long before the money ends. 0 = none. Long"
        " enough to say goodbye or to top up, and less than quota_seconds. Elsewhere the dialplan's RATING_WARNING"
        " warns.",
    )
    ami_warning_sound: str = Field(
        "beep",
        pattern=r"^[A-Za-z0-9_./-]{1,200}$",
        description="What is heard then: a sound file of Asterisk without its extension.",
    )
    reconcile_interval_seconds: float = Field(
        60.0,
        ge=1.0,
        le=3_600.0,
        description="How often open calls are compared with the channels of each watched exchange. One that is gone is"
        " found within this; a comparison reads the list of channels once.",
    )
    reconcile_grace_seconds: float = Field(
        30.0,
        ge=1.0,
        le=3_600.0,
        description="How long a call's channel is gone before the call is settled without a finish: time for one that"
        " is under way, or waits in a spool for the database.",
    )

    # --- routes
    route_quality_window_seconds: int = Field(
        3_600,
        ge=60,
        le=86_400,
        description="Over how long the quality of routes is measured (ASR, ACD): for tariffs that order routes by it,"
        " and for `routes quality`. Shorter notices a bad route sooner, longer judges one with few calls.",
    )
    route_quality_interval_seconds: float = Field(
        60.0,
        ge=1.0,
        le=3_600.0,
        description="How often it is measured, by one engine of all. Each time the calls of the window are read once,"
        " and every engine reads its routes anew if a figure changed. Not done while no tariff orders by quality.",
    )

    # --- ledger
    ledger_batch_max: int = Field(
        256,
        ge=1,
        le=10_000,
        description="Reservations or settlements in one statement. A larger batch would hold its accounts locked"
        " for longer than it saves.",
    )
    ledger_queue_max: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Requests waiting for a batch, per bucket and worker: about a second of work. Beyond it a call"
        " is declined at once as overloaded, which is better than a late answer.",
    )
    ledger_buckets: int = Field(
        1,
        ge=1,
        le=SMALLINT_MAX,
        description="Shards over which new accounts are spread. On one PostgreSQL server 1 is fastest, and limits of"
        " routes are exact at once; on Citus, a multiple of its workers.",
    )

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

    @property
    def default_route_prefix(self) -> str:
        """The part of `default_route` before the bar; empty without one."""
        return self.default_route.rpartition("|")[0]

    @property
    def default_route_name(self) -> str:
        """The part of `default_route` after the bar."""
        return self.default_route.rpartition("|")[2]

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

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str) -> str:
        if not value:
            return value
        check_database_url(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str) -> str:
        if value:
            check_redis_url(value)
        return value

    @field_validator("fastagi_allowed_networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"{error}: must be networks such as 10.0.0.0/8 or 192.0.2.7") from error
        return value

    @field_validator("ami_exchanges")
    @classmethod
    def _check_exchanges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [parse_address(text).exchange for text in value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"names {sorted(twice)[0]} twice")
        return value

    @field_validator("default_route")
    @classmethod
    def _check_default_route(cls, value: str) -> str:
        if ROUTE.fullmatch(value) is None:
            raise ValueError("must be NAME or PREFIX|NAME of letters, digits and _ . - (the prefix also / @ : * # +)")
        return value

    @model_validator(mode="after")
    def _check_offline_logins(self) -> Self:
        if self.on_database_down == "allow_postpaid" and not self.allow_postpaid_logins:
            raise ValueError("allow_postpaid_logins: must name a login while on_database_down is allow_postpaid")
        return self

    @model_validator(mode="after")
    def _check_warning(self) -> Self:
        if self.ami_warning_seconds >= self.quota_seconds:
            raise ValueError("ami_warning_seconds: must be less than quota_seconds: no further ahead is the end known")
        return self

    @model_validator(mode="after")
    def _check_shared_ports(self) -> Self:
        free = [name for name, (_, port) in self.listeners.items() if port == 0]
        if self.workers > 1 and free:
            raise ValueError(f"workers: must be 1 while {free[0]}_port is 0 (any free port)")
        return self
