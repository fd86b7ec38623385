"""Files that an exchange is run by: fetched, kept version by version, put into its place and taken back.

Law: what is put into place was read whole, is a dialplan, and lets no call through without a limit.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rating_engine.domain.errors import InvalidRequest, RatingEngineError

MAX_BYTES: Final = 1_048_576  # of a file: the shipped one has 40 kB
MAX_KEPT: Final = 20  # versions of each file of an exchange

_VERSION: Final = re.compile(
    r"^[\s;]*version[\s:=]+([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s*$", re.IGNORECASE | re.MULTILINE
)
_HEAD: Final = 4_096  # characters that the version has to stand in
_CONTEXT: Final = re.compile(r"^\[[A-Za-z0-9_-]{1,79}\]", re.MULTILINE)
_CHECKSUM: Final = re.compile(r"sha256=([0-9a-fA-F]{64})")


class FileKind(StrEnum):
    """DIALPLAN: what rates calls. INTERFACE: what of an installation's own stands between it and the phones."""

    DIALPLAN = "dialplan"
    INTERFACE = "interface"

    @property
    def file_name(self) -> str:
        """Below the exchange's config_directory; extensions.conf includes it."""
        return "rating.conf" if self is FileKind.DIALPLAN else "rating-interface.conf"


class FileNotFetched(RatingEngineError):
    """The host of a file is away, or answers something else."""

    code = "file_not_fetched"


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file as it was fetched, or found. `url` '': it stood there before. `before`: what was there when it came."""

    file_id: int
    exchange: str
    kind: FileKind
    version: str
    sha256: str
    url: str
    text: str
    before: int | None
    is_current: bool
    created_at: datetime


def fetched_url(written: str) -> tuple[str, str | None]:
    """A URL as an operator may write it, with the checksum behind # if any: `~` is a slash, and https is meant.

    Raises InvalidRequest (url).
    """
    url, _, checksum = written.strip().replace("~", "/").partition("#")
    if "://" not in url:
        url = f"https://{url}"
    if not url.startswith("https://"):
        raise InvalidRequest("url", "must be https: what is fetched runs the exchange")
    found = _CHECKSUM.fullmatch(checksum)
    if checksum and found is None:
        raise InvalidRequest("url", "may have #sha256= and 64 hex digits behind it, and nothing else")
    return url, None if found is None else found[1].lower()


def read_file(body: bytes, checksum: str | None) -> str:
    """The text of a file that can be put into place. Raises InvalidRequest (url)."""
    if checksum is not None and checksum != hashlib.sha256(body).hexdigest():
        raise InvalidRequest("url", "answers another file than the checksum is of")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or not _CONTEXT.search(text):
        raise InvalidRequest("url", "answers no dialplan: there is no [context] in it")
    return text


def version_of(text: str) -> str:
    """What a file calls itself (`; version: 1.2`), else the begin of its checksum."""
    found = _VERSION.search(text[:_HEAD])
    return sha256_of(text)[:12] if found is None else found[1]


def sha256_of(text: str) -> str:
    """The checksum of a file, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
