"""Sound files for exchanges: made fit for a telephone, and kept in a directory that the exchange reads too.

Laws: a file is there whole or not at all; one that is older than a day is gone with the next one; what is fetched comes
from listed hosts alone.
"""

from __future__ import annotations

import array
import asyncio
import io
import os
import secrets
import sys
import time
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.support.speech import SpeechFailed

RATE: Final = 8_000  # samples a second of a telephone, and of Asterisk's format_wav
MAX_SECONDS: Final = 120  # nobody listens longer to a machine
KEPT_SECONDS: Final = 86_400.0  # a call begins within seconds; a day is for who looks what was said
SAMPLE_BYTES: Final = 2

Fetch = Callable[[str], Awaitable[bytes]]


class VoiceFiles:
    """`directory` '': there is none. `fetch`: a file of a listed host."""

    def __init__(self, directory: str, fetch: Fetch) -> None:
        self._directory = directory
        self._fetch = fetch

    async def fetched(self, url: str) -> bytes:
        """A WAV file by its URL. Errors: InvalidRequest (no such URL, or its host is not listed), FileNotFetched."""
        return await self._fetch(url)

    async def keep(self, sound: bytes) -> str:
        """Keep a WAV file; its name in the directory, without extension as an exchange wants it.

        Errors: SpeechFailed (there is no directory, or it cannot be written), InvalidRequest (no WAV file of PCM).
        """
        if not self._directory:
            raise SpeechFailed("there is no directory that the exchange reads (voice_directory)")
        try:
            return await asyncio.to_thread(self._write, sound)
        except OSError as error:
            raise SpeechFailed(f"voice_directory: {error.strerror}") from None

    def _write(self, sound: bytes) -> str:
        fit = telephone_wav(sound)
        directory = Path(self._directory)
        oldest = time.time() - KEPT_SECONDS
        for old in directory.glob("voice-*.wav"):
            if old.stat().st_mtime < oldest:
                old.unlink(missing_ok=True)
        place = directory / f"voice-{secrets.token_hex(12)}"
        fresh = place.with_suffix(".tmp")
        fresh.write_bytes(fit)
        fresh.chmod(0o644)  # the exchange is another user
        os.replace(fresh, place.with_suffix(".wav"))
        return place.name


def telephone_wav(sound: bytes) -> bytes:
    """A WAV file of 16 bit PCM as one of 8,000 samples a second in mono, MAX_SECONDS at the most. Raises
    InvalidRequest.
    """
    try:
        with wave.open(io.BytesIO(sound)) as read:
            if read.getsampwidth() != SAMPLE_BYTES or not 1 <= read.getframerate() <= 192_000:
                raise InvalidRequest("text", "is a WAV file, but not of 16 bit")
            rate, channels = read.getframerate(), read.getnchannels()
            samples = array.array("h", read.readframes(MAX_SECONDS * rate))
    except (wave.Error, EOFError, ValueError):
        raise InvalidRequest("text", "is no WAV file of PCM") from None
    if sys.byteorder == "big":
        samples.byteswap()
    out = io.BytesIO()
    with wave.open(out, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(SAMPLE_BYTES)
        written.setframerate(RATE)
        fit = _resampled(samples[::channels], rate)
        if sys.byteorder == "big":
            fit.byteswap()
        written.writeframes(fit.tobytes())
    return out.getvalue()


def _resampled(samples: array.array[int], rate: int) -> array.array[int]:
    """Each new sample is the mean of those that it stands for: above 4 kHz a telephone has nothing."""
    if rate == RATE:
        return samples
    count = len(samples) * RATE // rate
    fit = array.array("h", bytes(SAMPLE_BYTES * count))
    for place in range(count):
        begin = place * rate // RATE
        end = max(begin + 1, (place + 1) * rate // RATE)
        part = samples[begin:end]
        fit[place] = sum(part) // len(part)
    return fit
