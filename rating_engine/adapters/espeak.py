"""Speech by espeak-ng, where it is installed: text on its standard input, a WAV file on its output.

Laws: a process is ended with the request that it is for, and after a time anyway; a few of them run at once, so that
speech takes no processor from calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from rating_engine.services.support.speech import SpeechFailed

AT_ONCE: Final = 2  # processes of one worker
TIMEOUT_SECONDS: Final = (
    10.0  # of waiting for a place and of the work: a thousand characters take a quarter of a second
)
MAX_WAV: Final = 16_777_216  # bytes: of a thousand characters, slowly spoken, it is a third
HEADER: Final = 44  # bytes of a WAV file before its sound
PART: Final = 65_536


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
        pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            self._program, "--stdin", "--stdout", "-v", language, stdin=pipe, stdout=pipe, stderr=none
        )
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(ConnectionError):  # it has ended: its code says why
                process.stdin.write(text.encode())
                await process.stdin.drain()
            process.stdin.close()
            sound = bytearray()
            while part := await process.stdout.read(PART):
                sound += part
                if len(sound) > MAX_WAV:
                    raise SpeechFailed("the speech is too long")
            if await process.wait() != 0 or len(sound) <= HEADER or not sound.startswith(b"RIFF"):
                raise SpeechFailed(
                    f"the speech program failed with {process.returncode}; has it the language {language}?"
                )
            return bytes(sound)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())


def _with_sizes(wav: bytes) -> bytes:
    """A file that was written to a pipe does not know how long it is."""
    sizes = [(len(wav) - 8).to_bytes(4, "little"), (len(wav) - HEADER).to_bytes(4, "little")]
    return wav[:4] + sizes[0] + wav[8 : HEADER - 4] + sizes[1] + wav[HEADER:]
