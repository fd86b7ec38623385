"""Speech by espeak-ng, where it is installed: text on its standard input, a WAV file on its output.

Laws: a process is ended with the request that it is for, and after a time anyway; a few of them run at once, so that
speech takes no processor from calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, cast

from rating_engine.services.support.speech import SpeechFailed

AT_ONCE: Final = 2  # processes of one worker
TIMEOUT_SECONDS: Final = (
    10.0  # of waiting for a place and of the work: a thousand characters take a quarter of a second
)
MAX_WAV: Final = 16_777_216  # bytes: of a thousand characters, slowly spoken, it is a third
HEADER: Final = 44  # bytes of a WAV file before its sound


class Espeak:
    """The program. `program`: its name or path; '': there is none."""

    def __init__(self, program: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._program = program
        self._timeout = timeout_seconds
        self._places = asyncio.Semaphore(AT_ONCE)

    async def speak(self, text: str, language: str) -> bytes:
        """A WAV file. Errors: SpeechFailed."""
        if not self._program:
            raise SpeechFailed("no speech program is configured")
        try:
            async with asyncio.timeout(self._timeout), self._places:
                return _with_sizes(await self._run(text, language))
        except TimeoutError:
            raise SpeechFailed(f"speech took more than {self._timeout:g} s") from None
        except OSError as error:
            raise SpeechFailed(f"the speech program cannot be run: {error.strerror}") from None

    async def _run(self, text: str, language: str) -> bytes:
        loop = asyncio.get_running_loop()
        process, speech = await loop.subprocess_exec(
            lambda: _Speech(loop), self._program, "--stdin", "--stdout", "-v", language,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            # uvloop's is one by shape, not by class.
            asked = cast(asyncio.WriteTransport, process.get_pipe_transport(0))
            asked.write(text.encode())
            asked.close()
            sound = await speech.said
            await speech.exited
            if process.get_returncode() != 0 or len(sound) <= HEADER or not sound.startswith(b"RIFF"):
                raise SpeechFailed(
                    f"the speech program failed with {process.get_returncode()}; has it the language {language}?"
                )
            return sound
        finally:
            if process.get_returncode() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(speech.exited)
            process.close()  # its pipes too, whoever still holds their other ends


class _Speech(asyncio.SubprocessProtocol):
    """What a process says: `said` is all of its output, `exited` is done when it has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.said: asyncio.Future[bytes] = loop.create_future()
        self.exited: asyncio.Future[None] = loop.create_future()
        self._sound = bytearray()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """A part of its output."""
        if self.said.done():  # there was too much of it, or nobody waits any more
            return
        self._sound += data
        if len(self._sound) > MAX_WAV:
            self.said.set_exception(SpeechFailed("the speech is too long"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """The end of its output; that it takes no more of its input is said by its exit code."""
        if fd == 1 and not self.said.done():
            self.said.set_result(bytes(self._sound))

    def process_exited(self) -> None:
        """It has ended."""
        if not self.exited.done():
            self.exited.set_result(None)


def _with_sizes(wav: bytes) -> bytes:
    """A file that was written to a pipe does not know how long it is."""
    sizes = [(len(wav) - 8).to_bytes(4, "little"), (len(wav) - HEADER).to_bytes(4, "little")]
    return wav[:4] + sizes[0] + wav[8 : HEADER - 4] + sizes[1] + wav[HEADER:]
