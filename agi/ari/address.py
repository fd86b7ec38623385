"""Where an exchange's REST interface is: `NAME=ari://USER:SECRET@HOST:PORT[?seats=1][&tls=1[&ca=FILE]]`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_PORT: Final = 8088
DEFAULT_TLS_PORT: Final = 8089
SEATS_MAX: Final = 16  # each is a queue and a thread in Asterisk; calls of one more than this would be no faster
_NAME: Final = re.compile(r"[^\s/=,]{1,64}")  # the first part of a call key: no slash
_USER: Final = re.compile(r"[^\s\x00-\x1f:]{1,80}")
_SECRET: Final = re.compile(r"[^\s\x00-\x1f]{1,80}")


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
    name, _, url = text.strip().partition("=")
    if not _NAME.fullmatch(name):
        raise ValueError("must be NAME=ari://USER:SECRET@HOST:PORT, the name without space, slash or comma")
    parts = urlsplit(url)
    if parts.scheme != "ari" or not parts.hostname:
        raise ValueError(f"{name}: must be {name}=ari://USER:SECRET@HOST:PORT")
    username, secret = unquote(parts.username or ""), unquote(parts.password or "")
    if not _USER.fullmatch(username) or not _SECRET.fullmatch(secret):
        raise ValueError(f"{name}: names no user and secret: {name}=ari://USER:SECRET@{parts.hostname}")
    options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    if unknown := options.keys() - {"seats", "tls", "ca"}:
        raise ValueError(f"{name}: {sorted(unknown)[0]!r} is no option; there are seats=1, tls=1 and ca=FILE")
    seats = options.get("seats", ["1"])[-1]
    if not seats.isdecimal() or not 1 <= int(seats) <= SEATS_MAX:
        raise ValueError(f"{name}: seats is a number from 1 to {SEATS_MAX}")
    tls = options.get("tls", ["0"])[-1] in ("1", "yes", "true")
    port = parts.port or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT)
    return AriAddress(name, parts.hostname, port, username, secret, int(seats), tls, options.get("ca", [""])[-1])
