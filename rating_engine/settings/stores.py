"""Settings of PostgreSQL and Redis: where they are, and how long anybody waits for them."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from rating_engine.settings.texts import Group, Texts
from rating_engine.settings.urls import check_database_url, check_redis_url


class StoreSettings(Group):
    """PostgreSQL and Redis."""

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

    # --- secrets
    secret_keys: Texts = Field(
        (),
        repr=False,
        max_length=10,
        description="Keys with which passwords of phones are kept, so that they can be shown again: 32 random bytes"
        " each in URL-safe base64, as `head -c 32 /dev/urandom | base64 | tr +/ -_` makes them. The first one encrypts,"
        " all of them decrypt: put a new one first, run `rating-engine phone reseal`, take the old one away. The same"
        " on every machine. Empty: phones cannot be made here. In the environment separated by commas.",
    )

    @field_validator("secret_keys")
    @classmethod
    def _check_secret_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for place, key in enumerate(value, start=1):
            if not re.fullmatch(r"[A-Za-z0-9_-]{43}=", key):
                raise ValueError(f"key {place} must be 32 bytes in URL-safe base64: 44 characters, the last one =")
        return value

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
