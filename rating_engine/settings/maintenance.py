"""Settings of what is fetched from elsewhere to keep an installation as it should be."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator

from rating_engine.settings.texts import Group, Texts

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

    @field_validator("exchange_file_hosts")
    @classmethod
    def _check_exchange_file_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not _HOST.fullmatch(text):
                raise ValueError(f"{text[:80]!r} must be HOST or HOST=ADDRESS:PORT")
        return value
