"""Asterisk's configuration files as Asterisk reads them: with what they include in its place.

Law: what cannot be read is not passed over: its `#include` stays in the text, where whoever checks it finds it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

INCLUDE_LEVELS: Final = 10  # Asterisk's own limit; files that include each other end here
MAX_CHARACTERS: Final = 16_000_000  # of everything together; the largest dialplans have some megabytes

_BLOCK_COMMENT: Final = re.compile(r"^[ \t]*;--(?!-).*?--;", re.DOTALL | re.MULTILINE)
_INCLUDE: Final = re.compile(r"\s*#(try)?include\s+(.+?)\s*(?:(?<!\\);.*)?", re.IGNORECASE)
_MARK: Final = "asterisk.conf"  # stands in Asterisk's own directory


def read_whole(file: Path) -> str:
    """A file with all that it includes, block comments left out. Errors: OSError, of the file itself; ValueError where
    it is too much.
    """
    return _Reader(asterisk_directory(file)).read(file, INCLUDE_LEVELS)


def asterisk_directory(file: Path) -> Path:
    """Where included names begin: the nearest directory above the file with an asterisk.conf, else the file's own."""
    above = file.absolute().parents
    return next((directory for directory in above if (directory / _MARK).is_file()), above[0])


class _Reader:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._left = MAX_CHARACTERS

    def read(self, file: Path, levels: int) -> str:
        text = file.read_text(encoding="utf-8", errors="replace")
        self._left -= len(text)
        if self._left < 0:
            raise ValueError(f"more than {MAX_CHARACTERS} characters, with all that it includes")
        return "\n".join([self._line(line, levels) for line in _BLOCK_COMMENT.sub("", text).splitlines()])

    def _line(self, line: str, levels: int) -> str:
        included = _INCLUDE.fullmatch(line)
        if included is None:
            return line
        name = included[2].strip("\"'<> \t")
        files = sorted(self._directory.glob(name)) if not Path(name).is_absolute() else sorted(_absolute(name))
        try:
            if levels and files:
                return "\n".join([self.read(file, levels - 1) for file in files])
        except OSError:
            return line
        return "" if included[1] else line


def _absolute(pattern: str) -> list[Path]:
    root = Path(Path(pattern).anchor)
    return list(root.glob(str(Path(pattern).relative_to(root))))
