"""How settings name an exchange's interface, AMI or ARI: `NAME=SCHEME://USER:SECRET@HOST:PORT[?option=value]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_NAME: Final = re.compile(r"[^\s/=,]{1,64}")  # the first part of a call key: no slash
_WORD: Final = re.compile(r"[^\s\x00-\x1f]{1,80}")
_TRUE: Final = ("1", "yes", "true")


@dataclass(frozen=True, slots=True)
class Named:
    """What a text says. `port` None: the one that is usual. `options`: as they were written, the last of each."""

    exchange: str
    host: str
    port: int | None
    username: str
    secret: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def tls(self) -> bool:
        """Whether it is asked over TLS."""
        return self.options.get("tls", "0") in _TRUE

    @property
    def ca_file(self) -> str:
        """Whose certificates are believed; '': the machine's."""
        return self.options.get("ca", "")


def read_address(text: str, scheme: str, options: Mapping[str, str], *, no_user: str = "") -> Named:
    """The exchange that `text` names. A secret with special characters is written with %XX. Raises ValueError.

    `options`: those that there are, by their names, as they are explained; `no_user`: what stands in no user's name.
    """
    name, _, url = text.strip().partition("=")
    form = f"{scheme}://USER:SECRET@"
    if not _NAME.fullmatch(name):
        raise ValueError(f"must be NAME={form}HOST:PORT, the name without space, slash or comma")
    parts = urlsplit(url)
    if parts.scheme != scheme or not parts.hostname:
        raise ValueError(f"{name}: must be {name}={form}HOST:PORT")
    username, secret = unquote(parts.username or ""), unquote(parts.password or "")
    if not _WORD.fullmatch(username) or not _WORD.fullmatch(secret) or (no_user and no_user in username):
        raise ValueError(f"{name}: names no user and secret: {name}={form}{parts.hostname}")
    given = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    if unknown := given.keys() - options.keys():
        *others, last = options.values()
        raise ValueError(f"{name}: {sorted(unknown)[0]!r} is no option; there are {', '.join(others)} and {last}")
    return Named(
        name, parts.hostname, parts.port, username, secret, {option: values[-1] for option, values in given.items()}
    )
