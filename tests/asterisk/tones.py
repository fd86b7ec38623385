"""A tone written to a sound file, and found again in a recording."""

from __future__ import annotations

import array
import math
import wave
from pathlib import Path
from typing import Final

HERTZ: Final = 8_000  # samples a second of telephone sound
LOUD: Final = 8_000.0
AUDIBLE: Final = 500.0  # an amplitude that stands out from rounding and from other tones


def write_tone(file: Path, hertz: int, seconds: float = 1.0) -> None:
    """Write a sine as a WAV file."""
    samples = array.array(
        "h", (int(LOUD * math.sin(2 * math.pi * hertz * n / HERTZ)) for n in range(int(HERTZ * seconds)))
    )
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(HERTZ)
        out.writeframes(samples.tobytes())
    file.chmod(0o644)


def seconds_of_tone(file: Path, hertz: int) -> list[float]:
    """Return the beginnings of the half seconds of a recording in which the tone is heard."""
    with wave.open(str(file)) as recording:
        rate = recording.getframerate()
        samples = array.array("h", recording.readframes(recording.getnframes()))
    half = rate // 2
    windows = {start / rate: samples[start : start + half] for start in range(0, len(samples), half)}
    return [start for start, window in windows.items() if _amplitude(window, hertz, rate) > AUDIBLE]


def _amplitude(window: array.array[int], hertz: int, rate: int) -> float:
    """The share of one frequency (Goertzel)."""
    factor, before, last = 2 * math.cos(2 * math.pi * hertz / rate), 0.0, 0.0
    for sample in window:
        before, last = last, sample + factor * last - before
    power = before * before + last * last - factor * before * last
    return 2 * math.sqrt(max(power, 0.0)) / max(1, len(window))
