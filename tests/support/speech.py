"""Programs that stand for espeak-ng, which is not installed everywhere."""

from __future__ import annotations

from pathlib import Path

WAV = r"printf 'RIFF....WAVEfmt ....................data....sound'"


def speaker(directory: Path, script: str = WAV) -> str:
    """A program that reads what it is to say, notes it and how it was called, and then runs `script`."""
    path = directory / "speak"
    path.write_text(f'#!/bin/sh\necho "$@" >{directory}/arguments\ncat >{directory}/said\n{script}\n')
    path.chmod(0o755)
    return str(path)
