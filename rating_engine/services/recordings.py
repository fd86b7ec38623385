"""Recordings: which there are of a user, links to them, and the files behind the links.

Laws: a link is signed and ends; it names one recording and reaches its file alone: no other file, and none that a
symbolic link stands for; who may have a link is asked when it is made. Without a directory there are no recordings.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from rating_engine.domain.errors import NotFound, Refused
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.domain.recording import MAX_LISTED, NAME, Recording, RecordingKind
from rating_engine.storage.calls import recordings as store
from rating_engine.storage.calls.recordings import Kept
from rating_engine.storage.parties.parties import find_party, is_below
from rating_engine.storage.postgres.pool import Database

PATH: Final = "recordings"  # of the HTTP port, with the token of a link behind it
MAX_TOKEN: Final = 600
MAILED_WITHIN: Final = timedelta(days=2)  # one that comes later is found in the list
MAIL_LINK: Final = timedelta(days=14)
SETTLED: Final = timedelta(seconds=10)  # a file that nobody has written to for so long is whole
MAIL_BATCH: Final = 100

_WAV_HEAD_BYTES: Final = 44  # Asterisk makes the file when it is told to record, before there is anything to
_BYTES_A_SECOND: Final = 16_000  # of 16 bits at 8 kHz, where a file does not say it


@dataclass(frozen=True, slots=True)
class RecordingFiles:
    """Where they are. `directory` '': nowhere. `link_seconds`: how long a link works. `public_url` '': as asked."""

    directory: str = ""
    link_seconds: int = 3_600
    public_url: str = ""

    def path_of(self, name: str, kind: RecordingKind) -> Path | None:
        """The file of a recording; None: it is not there, or is empty, as of a conversation that nobody took."""
        if not self.directory or not NAME.fullmatch(name):
            return None
        path = Path(self.directory) / f"{name}{kind.ending}"
        if not path.is_file() or path.is_symlink():
            return None
        return path if path.stat().st_size > (0 if kind is RecordingKind.FAX else _WAV_HEAD_BYTES) else None


NO_RECORDINGS: Final = RecordingFiles()


class Recordings:
    """What one principal does with them."""

    def __init__(
        self, database: Database, principal: Principal, files: RecordingFiles, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._principal = principal
        self._files = files
        self._links = RecordingLinks(database, files, now)

    async def of(self, who: str | int, since: datetime, until: datetime) -> Sequence[Recording]:
        """Those of a user whose calls came in [since, until), MAX_LISTED at most. Errors: NotFound, Unavailable."""
        party = await find_party(self._database, who)
        if not self._files.directory:
            return []
        kept = await store.recordings_of(self._database, party.party_id, since, until, MAX_LISTED)
        return await asyncio.to_thread(lambda: [found for each in kept if (found := _looked_at(self._files, each))])

    async def link(self, name: str, *, of: int | None = None) -> str:
        """The token of a link to one, of this party alone where it is named, which works for a while.

        Errors: NotFound, Refused, Unavailable.
        """
        kept = await store.find_recording(self._database, name)
        if kept is None or of not in (None, kept.party_id):
            raise NotFound("there is no such recording", field="name")
        if not await is_below(self._database, kept.party_id, self._principal.realm):
            raise NotFound("there is no such recording", field="name")
        if await asyncio.to_thread(self._files.path_of, kept.name, kept.kind) is None:
            raise NotFound("its file is not there", field="name")
        return await self._links.token_of(kept.name, timedelta(seconds=self._files.link_seconds))


class RecordingLinks:
    """Makes tokens, and finds what they stand for."""

    def __init__(self, database: Database, files: RecordingFiles, now: Callable[[], datetime]) -> None:
        self.files = files
        self._database = database
        self._now = now

    async def token_of(self, name: str, lasts: timedelta) -> str:
        """A token for one recording. Errors: Refused (the database has no secret), Unavailable."""
        ends = int((self._now() + lasts).timestamp())
        return (await self._token(f"{ends}:{name}".encode())).decode()

    async def open(self, token: str) -> Path | None:
        """The file that a token stands for; None: none, or no more. Errors: Refused, Unavailable."""
        said = _bytes(token[:MAX_TOKEN].partition(".")[0])
        if not hmac.compare_digest(token.encode(), await self._token(said)):  # letter by letter
            return None
        ends, _, name = said.decode().partition(":")
        if int(ends) <= self._now().timestamp():
            return None
        kept = await store.find_recording(self._database, name)
        return None if kept is None else await asyncio.to_thread(self.files.path_of, kept.name, kept.kind)

    async def _token(self, said: bytes) -> bytes:
        secret = await store.link_secret(self._database)
        if secret is None:
            raise Refused("engine_secrets has no signed_links: links cannot be signed")
        return f"{_text(said)}.{_text(hmac.digest(secret, said, hashlib.sha256))}".encode()


async def mail_recordings(database: Database, files: RecordingFiles, now: Callable[[], datetime]) -> int:
    """Queue mail of messages and faxes that are whole, each once; how many. Errors: Unavailable."""
    if not files.directory or not files.public_url:
        return 0
    links, sent = RecordingLinks(database, files, now), 0
    for kept in await store.to_mail(database, now() - MAILED_WITHIN, MAIL_BATCH):
        path = await asyncio.to_thread(files.path_of, kept.name, kept.kind)
        if path is None or now().timestamp() - path.stat().st_mtime < SETTLED.total_seconds():
            continue
        link = f"{files.public_url.rstrip('/')}/{PATH}/{await links.token_of(kept.name, MAIL_LINK)}"
        what = "A fax" if kept.kind is RecordingKind.FAX else "A message"
        subject = f"{what} from {kept.caller or 'an unknown number'} for {kept.called}"
        body = (
            f"{subject}, {kept.begun_at:%Y-%m-%d %H:%M} UTC.\n\n{link}\n\nThe link works for {MAIL_LINK.days} days.\n"
        )
        async with database.transaction(ENGINE) as tx:
            await store.queue_mail(tx, kept, subject, body)
        sent += 1
    return sent


def _looked_at(files: RecordingFiles, kept: Kept) -> Recording | None:
    path = files.path_of(kept.name, kept.kind)
    if path is None:
        return None
    seconds = 0 if kept.kind is RecordingKind.FAX else _seconds_of(path)
    return Recording(kept.name, kept.kind, kept.caller, kept.called, kept.begun_at, seconds)


def _seconds_of(path: Path) -> int:
    """Begun seconds of a WAV file, which may be growing still."""
    try:
        with wave.open(str(path)) as sound:
            return int(-(-sound.getnframes() // sound.getframerate()))
    except (wave.Error, EOFError, OSError, ZeroDivisionError):
        size = path.stat().st_size if path.exists() else 0
        return -(-size // _BYTES_A_SECOND)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
