"""Dialplans of exchanges: fetched from where the operator lists, put into place whole, and taken back.

Laws: what stood there is kept before something else comes, also what somebody wrote by hand; who reads the file
meanwhile reads the old one whole or the new one whole; what the exchange refuses to load is taken back at once. One at
a time of an exchange, over all engines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotFound, Refused, Unavailable
from rating_engine.domain.exchange_file import FileKind, FileVersion, fetched_url, read_file, sha256_of
from rating_engine.domain.exchange_query import QueryFailed
from rating_engine.domain.exchanges import SipExchange
from rating_engine.domain.principal import Principal
from rating_engine.services.phones.queries import AskExchange
from rating_engine.storage.audit_log import record
from rating_engine.storage.files import replace_file
from rating_engine.storage.phones import exchange_files as store
from rating_engine.storage.phones.exchanges import exchange_called
from rating_engine.storage.postgres.one_at_a_time import one_at_a_time
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

RELOADED: Final = "pbx_config.so"
MODE: Final = 0o640

Fetch = Callable[[str], Awaitable[bytes]]  # Errors: InvalidRequest (url), FileNotFetched
Check = Callable[[str], Iterable[tuple[str, str]]]  # what is wrong with a dialplan, and how it is mended


class ExchangeFiles:
    """What one principal does with files of exchanges. An exchange: by name, address, DNS name or realm."""

    def __init__(
        self, database: Database, principal: Principal, *, fetch: Fetch, check: Check, ask: AskExchange
    ) -> None:
        self._database = database
        self._principal = principal
        self._fetch = fetch
        self._check = check
        self._ask = ask

    async def update(self, exchange: str, kind: FileKind, url: str) -> FileVersion:
        """Fetch a file and put it into place; the exchange loads it where it is reached over AMI.

        Errors: InvalidRequest (url: not listed, no dialplan, calls without a limit), NoSuchExchange, FileNotFetched,
        QueryFailed (its directory is not here, or it refuses to load), Refused (somebody is at it), Unavailable.
        """
        found = await exchange_called(self._database, exchange)
        path = _place(found, kind)
        wanted, checksum = fetched_url(url)
        text = read_file(await self._fetch(wanted), checksum)
        # An interface is an installation's own; where it rates calls, it has to do it as a dialplan has.
        rates = kind is FileKind.DIALPLAN or "callPrepare" in text
        for problem, mend in self._check(text) if rates else ():
            raise InvalidRequest("url", f"answers a dialplan that must not be loaded: {problem}; {mend}")
        async with one_at_a_time(self._database, self._principal, _work(found)) as tx:
            before = await self._kept(_held(tx, found), found, kind, path)
            file_id = await store.add_file(_held(tx, found), found.exchange_id, kind, text, wanted, before)
            return await self._put(_held(tx, found), found, file_id, path, "exchange.file")

    async def restore(self, exchange: str | None, kind: FileKind) -> FileVersion:
        """Put back what stood there before the present version. `exchange` None: the only one.

        Errors: NoSuchExchange, NotFound (nothing stood there), QueryFailed, Refused, Unavailable.
        """
        found = await exchange_called(self._database, exchange)
        path = _place(found, kind)
        async with one_at_a_time(self._database, self._principal, _work(found)) as tx:
            current = await store.current_file(_held(tx, found), found.exchange_id, kind)
            before = None if current is None or current.before is None else current.before
            kept = None if before is None else await store.file_numbered(_held(tx, found), before)
            if kept is None:
                raise NotFound(f"no {kind} is kept that stood on {found.name} before", field="asterisk")
            if sha256_of(kept.text) != kept.sha256:
                raise Refused(f"version {kept.version} of {found.name} is not what was kept: its checksum differs")
            return await self._put(_held(tx, found), found, kept.file_id, path, "exchange.file_restore")

    async def list(self, exchange: str) -> list[FileVersion]:
        """The versions that are kept of an exchange, of each file the newest first. Errors: NoSuchExchange."""
        found = await exchange_called(self._database, exchange)
        return await store.list_files(self._database, found.exchange_id)

    async def _kept(self, tx: Transaction, exchange: SipExchange, kind: FileKind, path: Path) -> int | None:
        """The number of what stands there now, kept if nobody has yet; None: nothing stands there."""
        current = await store.current_file(tx, exchange.exchange_id, kind)
        there = await asyncio.to_thread(_read, path)
        if there is None:
            return None if current is None else current.file_id
        if current is not None and current.sha256 == sha256_of(there):
            return current.file_id
        return await store.add_file(
            tx, exchange.exchange_id, kind, there, "", None if current is None else current.file_id
        )

    async def _put(self, tx: Transaction, exchange: SipExchange, file_id: int, path: Path, action: str) -> FileVersion:
        wanted = await store.file_numbered(tx, file_id)
        assert wanted is not None
        await store.mark_current(tx, exchange.exchange_id, wanted.kind, file_id)
        detail = {"file": path.name, "version": wanted.version, "sha256": wanted.sha256, "url": wanted.url}
        await record(tx, action, exchange.name, detail)
        there = await asyncio.to_thread(_read, path)
        await asyncio.to_thread(_write, path, wanted.text)
        try:
            await self._ask({exchange.name, exchange.address}, "Reload", {"Module": RELOADED})
        except (Unavailable, Refused) as error:
            await asyncio.to_thread(_write, path, there)
            raise QueryFailed(f"{exchange.name} has not loaded {path.name}, which is as it was: {error}") from None
        return wanted


def _work(exchange: SipExchange) -> str:
    return f"files of exchange {exchange.exchange_id}"


def _held(tx: Transaction | None, exchange: SipExchange) -> Transaction:
    if tx is None:
        raise Refused(f"somebody changes files of {exchange.name} just now; ask again in a minute")
    return tx


def _place(exchange: SipExchange, kind: FileKind) -> Path:
    """Errors: QueryFailed."""
    if not exchange.config_directory or not Path(exchange.config_directory).is_dir():
        raise QueryFailed(
            f"{exchange.name} has no config_directory on this machine: set it",
            field="asterisk",
        )
    return Path(exchange.config_directory) / kind.file_name


def _read(path: Path) -> str | None:
    """Errors: QueryFailed."""
    try:
        return path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeError) as error:
        raise QueryFailed(f"{path} cannot be kept: {getattr(error, 'strerror', None) or 'is no text'}") from None


def _write(path: Path, text: str | None) -> None:
    """Put a text into place, or (None) take the file away. Errors: QueryFailed."""
    try:
        if text is None:
            path.unlink(missing_ok=True)
        elif path.exists():
            replace_file(path, text, path.stat().st_mode & 0o777, owned_as=path)
        else:
            replace_file(path, text, MODE, owned_as=path.parent)
    except OSError as error:
        raise QueryFailed(f"{path}: {error.strerror or type(error).__name__}") from None
