"""Where an exchange's manager interface is: `NAME=ami://USER:SECRET@HOST:PORT[?tls=1[&ca=FILE]]`, one exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agi.exchange_address import read_address

DEFAULT_PORT: Final = 5038
DEFAULT_TLS_PORT: Final = 5039
_OPTIONS: Final = {"tls": "tls=1", "ca": "ca=FILE"}


@dataclass(frozen=True, slots=True)
class AmiAddress:
    """One exchange. `ca_file` '' with `tls`: the certificate authorities of the machine."""

    exchange: str
    host: str
    port: int
    username: str
    secret: str = field(repr=False)
    tls: bool = False
    ca_file: str = ""


def parse_address(text: str) -> AmiAddress:
    """The exchange that `text` names. A secret with special characters is written with %XX. Raises ValueError."""
    named = read_address(text, "ami", _OPTIONS)
    port = named.port or (DEFAULT_TLS_PORT if named.tls else DEFAULT_PORT)
    return AmiAddress(named.exchange, named.host, port, named.username, named.secret, named.tls, named.ca_file)
