"""The bans in a file for the packet filter of this machine, and the command that has it read.

Laws: the file is there whole or as it was, whatever is cut off between; it is written, and the command run, only when
what it says changes; several workers of a machine may do so, and the last one writes the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from rating_engine.domain.ban import Ban
from rating_engine.domain.ban_sets import BanFileForm, ban_file, banned_networks, next_end
from rating_engine.storage.files import replace_file

COMMAND_SECONDS: Final = 30.0  # a set of a hundred thousand networks takes a packet filter a second
AGAIN_SECONDS: Final = 60.0  # after a failure: of a disk, or of the command
MODE: Final = 0o644  # it is for the packet filter, and no secret
SHOWN: Final = 500  # characters of what a command says, in the log

_log = structlog.get_logger(__name__)


class BanFile:
    """One file. `known`: the bans as the process knows them, and a number that grows with each reading."""

    def __init__(
        self,
        path: str,
        form: BanFileForm,
        command: str,
        known: Callable[[], tuple[int, Sequence[Ban]]],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`path` empty: none is written. `command`: run without a shell; empty: none is."""
        self._path = Path(path) if path else None
        self._form = form
        self._command = shlex.split(command)
        self._known = known
        self._now = now
        self._seen = 0
        self._next: datetime | None = None  # when one of the bans that were written is over
        self._again_at: float | None = None

    async def turn(self) -> None:
        """Write the file if what is banned has changed; for the background, each second."""
        version, bans = self._known()
        if self._path is None or version == 0:
            return
        now, loop = self._now(), asyncio.get_running_loop()
        is_over = self._next is not None and self._next <= now
        is_due = self._again_at is not None and self._again_at <= loop.time()
        if version == self._seen and not is_over and not is_due:
            return
        failed_before = self._again_at is not None
        self._seen, self._next, self._again_at = version, next_end(bans, now), None
        try:
            text = await asyncio.to_thread(lambda: ban_file(banned_networks(bans, now), self._form))
            changed = await asyncio.to_thread(_write, self._path, text)
        except OSError as error:
            self._again_at = loop.time() + AGAIN_SECONDS
            _log.error("ban_file_not_written", path=str(self._path), problem=error.strerror or str(error))
            return
        if self._command and (changed or failed_before) and not await self._run():
            self._again_at = loop.time() + AGAIN_SECONDS

    async def _run(self) -> bool:
        """Whether the packet filter has read it."""
        # Into a file and no pipe: a child that it has started would hold a pipe, and whoever waits for it waits on.
        with tempfile.TemporaryFile() as said:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=said
                )
            except OSError as error:
                _log.error("ban_command_failed", command=self._command[0], problem=error.strerror or str(error))
                return False
            problem = ""
            try:
                async with asyncio.timeout(COMMAND_SECONDS):
                    await process.wait()
            except BaseException as error:  # the engine stops, or it hangs
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                if not isinstance(error, TimeoutError):
                    raise
                problem = f"killed: not done within {COMMAND_SECONDS:g} s"
            if process.returncode:
                said.seek(0)
                problem = problem or said.read(SHOWN).decode(errors="replace")
                _log.error("ban_command_failed", command=self._command[0], problem=problem)
        return process.returncode == 0


def _write(path: Path, text: str) -> bool:
    """Put it there at one moment; False: it is there already. Raises OSError."""
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        if path.read_text(encoding="utf-8") == text:
            return False
    replace_file(path, text, MODE)
    return True
