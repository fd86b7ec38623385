"""URLs of servers as people write them: what is wrong with one, without a part of its password.

Law: whatever an error says of a URL holds nothing of what may be a password. A password that holds / ? or # must be
written with %2F, %3F and %23: as it is it ends the name of the server, and its rest would go out as a host, a port or
the name of a database.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from rating_engine.telemetry.redaction import HIDDEN, redact_text

POSTGRESQL_SCHEMES: Final = frozenset({"postgresql", "postgres"})
REDIS_SCHEMES: Final = frozenset({"redis", "rediss", "unix"})
SMTP_SCHEMES: Final = frozenset({"smtp", "smtps", "smtp+plain"})
LAST_PORT: Final = 65_535

QUOTE: Final = "a / ? # or [ in the password is written %2F, %3F, %23 or %5B"
_PORT: Final = re.compile(r"[0-9]{1,5}")
_HOST_AND_PORT: Final = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)


def check_database_url(url: str) -> None:
    """Raises ValueError with what is wrong, in words."""
    parts = _split(url)
    if parts.scheme not in POSTGRESQL_SCHEMES:
        raise ValueError("must be a URL that begins with postgresql://")
    _check_password(parts)
    query = parse_qs(parts.query)
    hosts = parts.netloc.rpartition("@")[2]
    if not hosts and "host" not in query:
        raise ValueError("names no host: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    for place in hosts.split(",") if hosts else ():
        _check_port(place)
    for text in ",".join(query.get("port", [])).split(","):
        _check_port(f":{text}" if text else "")


def check_redis_url(url: str) -> None:
    """Raises ValueError with what is wrong, in words."""
    parts = _split(url)
    if parts.scheme not in REDIS_SCHEMES:
        raise ValueError("must be a URL that begins with redis://, rediss:// or unix://, or empty")
    _check_password(parts)
    _check_port(parts.netloc.rpartition("@")[2])


def check_smtp_url(url: str) -> None:
    """Raises ValueError with what is wrong, in words."""
    parts = _split(url)
    if parts.scheme not in SMTP_SCHEMES:
        raise ValueError("must be a URL that begins with smtp://, smtps:// or smtp+plain://, or empty")
    _check_password(parts)
    place = parts.netloc.rpartition("@")[2]
    _check_port(place)
    if not parts.hostname:
        raise ValueError("names no host: smtp://USER:PASSWORD@HOST:PORT")


def shown_url(url: str) -> str:
    """A URL as an error may carry it: all that is between the scheme and the last @ is hidden."""
    scheme, _, _ = url.partition("://")
    head, at, place = url.rpartition("@")
    if not at or "password" in url.lower() or not re.fullmatch(r"[a-z]{1,20}", scheme) or len(head) <= len(scheme):
        return HIDDEN
    return redact_text(f"{scheme}://{HIDDEN}@{place}")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # Python's own words repeat the part that it could not read
        raise ValueError(f"cannot be read as a URL; {QUOTE}") from None


def _check_password(parts: SplitResult) -> None:
    """Refuse what was cut in the middle of a password."""
    if parts.fragment or "@" in parts.path or ("@" in parts.query and "@" not in parts.netloc):
        raise ValueError(f"cannot be read as a URL; {QUOTE}, and an @ behind the host %40")


def _check_port(place: str) -> None:
    found = _HOST_AND_PORT.fullmatch(place)
    port = None if found is None else found["port"]
    if found is None or (port and (not _PORT.fullmatch(port) or not 1 <= int(port) <= LAST_PORT)):
        raise ValueError(f"has a port that is no number from 1 to {LAST_PORT}; {QUOTE}")
