"""Programs that stand for espeak-ng, which is not installed everywhere."""

from __future__ import annotations

import wave
from pathlib import Path

WAV = r"printf 'RIFF....WAVEfmt ....................data....sound'"


def write_sound(file: Path, samples: bytes) -> None:
    """A WAV file as espeak-ng makes them: mono, 16 bit, 22,050 samples a second."""
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(22_050)
        out.writeframes(samples)


def speaker(directory: Path, script: str = WAV) -> str:
    """A program that reads what it is to say, notes it and how it was called, and then runs `script`."""
    path = directory / "speak"
    path.write_text(f'#!/bin/sh\necho "$@" >{directory}/arguments\ncat >{directory}/said\n{script}\n')
    path.chmod(0o755)
    return str(path)
