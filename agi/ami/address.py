"""Where an exchange's manager interface is: `NAME=ami://USER:SECRET@HOST:PORT[?tls=1[&ca=FILE]]`, one exchange."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_PORT: Final = 5038
DEFAULT_TLS_PORT: Final = 5039
_NAME: Final = re.compile(r"[^\s/=,]{1,64}")  # the first part of a call key: no slash
_USER: Final = re.compile(r"[^\s\x00-\x1f]{1,80}")


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
    name, _, url = text.strip().partition("=")
    if not _NAME.fullmatch(name):
        raise ValueError("must be NAME=ami://USER:SECRET@HOST:PORT, the name without space, slash or comma")
    parts = urlsplit(url)
    if parts.scheme != "ami" or not parts.hostname:
        raise ValueError(f"{name}: must be {name}=ami://USER:SECRET@HOST:PORT")
    username, secret = unquote(parts.username or ""), unquote(parts.password or "")
    if not _USER.fullmatch(username) or not _USER.fullmatch(secret):
        raise ValueError(f"{name}: names no user and secret: {name}=ami://USER:SECRET@{parts.hostname}")
    options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    if unknown := options.keys() - {"tls", "ca"}:
        raise ValueError(f"{name}: {sorted(unknown)[0]!r} is no option; there are tls=1 and ca=FILE")
    tls = options.get("tls", ["0"])[-1] in ("1", "yes", "true")
    port = parts.port or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT)
    return AmiAddress(name, parts.hostname, port, username, secret, tls, options.get("ca", [""])[-1])
