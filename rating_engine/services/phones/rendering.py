"""The phones of an exchange as a file, for one that does not read the database; and its reload over AMI.

Law: who reads the file meanwhile reads the old one whole or the new one whole.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rating_engine.domain.errors import Refused
from rating_engine.domain.exchanges import SipExchange
from rating_engine.domain.pjsip import render_pjsip
from rating_engine.storage.files import replace_file
from rating_engine.storage.phones.rendered import rows_of
from rating_engine.storage.postgres.pool import Questions

_SECRET: Final = re.compile(r"^(md5_cred|password)=.*")
FILE: Final = "pjsip_rating.conf"
MODE: Final = 0o640  # hashes of passwords stand in it
Reload = Callable[[str], Awaitable[bool]]  # of an exchange's PJSIP, by its name; False: it is not reached over AMI


@dataclass(frozen=True, slots=True)
class TrunkSections:
    """Sections of trunks as text, and their names."""

    names: frozenset[str]
    text: str


NO_TRUNKS: Final = TrunkSections(frozenset(), "")
TrunksOf = Callable[[str], Awaitable[TrunkSections]]  # of an exchange, by its name


async def never_reloads(exchange: str) -> bool:
    """Where no exchange is reached over AMI."""
    return False


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was written, or would be. `difference`: a unified diff without the hashes; empty: none."""

    path: Path
    text: str
    difference: tuple[str, ...]
    written: bool
    reloaded: bool | None = None


async def render(
    questions: Questions, exchange: SipExchange, output: Path | None, trunks: TrunkSections = NO_TRUNKS, *, write: bool
) -> Rendered:
    """The file of an exchange, written where it differs. Errors: Refused (no directory, not writable), Unavailable."""
    if output is None and not exchange.config_directory:
        raise Refused(f"exchange {exchange.name} has no config_directory; say --output FILE", field="output")
    path = output or Path(exchange.config_directory) / FILE
    rows = await rows_of(questions, exchange.name)
    if twice := sorted(trunks.names & {str(row["id"]) for view in rows.values() for row in view}):
        raise Refused(f"route {twice[0]} is called as a phone is: a section of pjsip.conf has one name", field="trunks")
    text = render_pjsip(exchange.name, rows) + trunks.text
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        difference = _difference(before, text, path)
        if before != text and write:
            _write(path, text)
    except (OSError, UnicodeError) as error:
        raise Refused(f"{path}: {getattr(error, 'strerror', None) or 'is no text'}", field="output") from None
    return Rendered(path, text, difference, written=write and before != text)


def _difference(before: str, after: str, path: Path) -> tuple[str, ...]:
    if before == after:
        return ()
    lines = difflib.unified_diff(_shown(before), _shown(after), str(path), "rendered", lineterm="")
    return tuple(lines) or ("another password",)


def _shown(text: str) -> list[str]:
    return [_SECRET.sub(r"\1=…", line) for line in text.splitlines()]


def _write(path: Path, text: str) -> None:
    """A new file in the place of the old one, of the same owner and group where that is allowed."""
    if path.exists():
        replace_file(path, text, path.stat().st_mode & 0o777, owned_as=path)
    else:
        replace_file(path, text, MODE, owned_as=path.parent)
