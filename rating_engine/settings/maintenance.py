"""Settings of what is fetched from elsewhere to keep an installation as it should be."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator

from rating_engine.settings.texts import Group, Texts

_RATE_URL: Final = re.compile(r"https?://[^\s/{}]+/(?:[^\s{}]|\{from\}|\{to\})*")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(=[A-Za-z0-9.:-]{1,100}:[0-9]{1,5})?")


class MaintenanceSettings(Group):
    """Dialplans and exchange rates."""

    # --- maintenance
    exchange_file_hosts: Texts = Field(
        (),
        max_length=100,
        description="Hosts that dialplans of exchanges may be fetched from (updateDialplan, updateInterface): HOST, of"
        " a public address, or HOST=ADDRESS:PORT for one that is not in the DNS or has a private one. By https"
        " alone, 10 s, 1 MiB, no redirects. Empty: none is fetched, since what is fetched runs the exchange.",
    )

    exchange_rate_url: str = Field(
        "",
        repr=False,
        description="Who publishes exchange rates as JSON: a URL with {from} and {to}, such as https://rates.example.org"
        "/latest?base={from}&symbols={to}. Asked once a day for each pair that has a rate already (`exchange set`), by"
        " GET, 10 s, 1 MiB, no redirects. Empty: rates are set by hand.",
    )
    exchange_rate_field: str = Field(
        "rates.{to}",
        min_length=1,
        max_length=200,
        description="Where the rate stands in that answer: names, and places in lists from 0, with points between.",
    )
    exchange_rate_jump_percent: int = Field(
        10,
        ge=1,
        le=100,
        description="How far a published rate may be from the one before. A rate that is further is not believed, which"
        " the log says (exchange_rates_not_set), and the old one counts until somebody sets one by hand.",
    )

    free_space_min_percent: int = Field(
        10,
        ge=0,
        le=90,
        description="Of each file system that is written to so much is to be free: `doctor --integrity` says where less"
        " is.",
    )

    @field_validator("exchange_rate_url")
    @classmethod
    def _check_exchange_rate_url(cls, value: str) -> str:
        if value and not (_RATE_URL.fullmatch(value) and "{from}" in value and "{to}" in value):
            raise ValueError(
                "must be http:// or https://, with {from} and {to} behind the host"
            )  # it may hold a secret
        return value

    @field_validator("exchange_file_hosts")
    @classmethod
    def _check_exchange_file_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not _HOST.fullmatch(text):
                raise ValueError(f"{text[:80]!r} must be HOST or HOST=ADDRESS:PORT")
        return value
