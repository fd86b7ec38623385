"""Types of settings that several groups have."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _tuple_from_list(value: object) -> object:
    """A TOML array as a tuple, which a frozen table wants; anything else is left for the type check."""
    return tuple(value) if isinstance(value, list) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_tuple_from_list)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class Group(BaseModel):
    """Settings that belong together. Every group is a part of the one flat table (`model`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Networks as they are. Raises ValueError."""
    for network in value:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(f"{error}: must be networks such as 10.0.0.0/8 or 192.0.2.7") from error
    return value
