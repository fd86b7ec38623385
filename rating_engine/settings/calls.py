"""Settings of calls: how they are charged, held, watched and routed, in how many processes."""

from __future__ import annotations

import re
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from agi.ami.address import parse_address
from rating_engine.settings.texts import Group, Texts

SMALLINT_MAX: Final = 32_767  # a ledger bucket is a smallint in every key of the schema
ROUTE: Final = re.compile(r"(?:(?P<prefix>[A-Za-z0-9_./@:*#+-]{0,64})\|)?(?P<name>[A-Za-z0-9_.-]{1,64})")


class CallSettings(Group):
    """Processes, charging, exchanges, routes, ledger."""

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
    system_currency: str = Field(
        "EUR",
        pattern=r"^[A-Z]{3}$",
        description="ISO 4217 code of the currency that amounts of all accounts are compared in: Narayana's API says"
        " what something costs in it beside the account's own currency, at the latest exchange rate, and tariffs made"
        " there are in it. Accounts keep their own.",
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

    @property
    def default_route_prefix(self) -> str:
        """The part of `default_route` before the bar; empty without one."""
        return self.default_route.rpartition("|")[0]

    @property
    def default_route_name(self) -> str:
        """The part of `default_route` after the bar."""
        return self.default_route.rpartition("|")[2]

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
    def _check_warning(self) -> Self:
        if self.ami_warning_seconds >= self.quota_seconds:
            raise ValueError("ami_warning_seconds: must be less than quota_seconds: no further ahead is the end known")
        return self
