"""Where an exchange's REST interface is: `NAME=ari://USER:SECRET@HOST:PORT[?seats=1][&tls=1[&ca=FILE]]`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agi.exchange_address import read_address

DEFAULT_PORT: Final = 8088
DEFAULT_TLS_PORT: Final = 8089
SEATS_MAX: Final = 16  # each is a queue and a thread in Asterisk; calls of one more than this would be no faster
_OPTIONS: Final = {"seats": "seats=1", "tls": "tls=1", "ca": "ca=FILE"}


@dataclass(frozen=True, slots=True)
class AriAddress:
    """One exchange. `ca_file` '' with `tls`: the certificate authorities of the machine. `seats`: its applications."""

    exchange: str
    host: str
    port: int
    username: str
    secret: str = field(repr=False)
    seats: int = 1
    tls: bool = False
    ca_file: str = ""


def parse_address(text: str) -> AriAddress:
    """The exchange that `text` names. A secret with special characters is written with %XX. Raises ValueError."""
    named = read_address(text, "ari", _OPTIONS, no_user=":")
    seats = named.options.get("seats", "1")
    if not seats.isdecimal() or not 1 <= int(seats) <= SEATS_MAX:
        raise ValueError(f"{named.exchange}: seats is a number from 1 to {SEATS_MAX}")
    port = named.port or (DEFAULT_TLS_PORT if named.tls else DEFAULT_PORT)
    return AriAddress(
        named.exchange, named.host, port, named.username, named.secret, int(seats), named.tls, named.ca_file
    )
