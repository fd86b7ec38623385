"""What of a file was read otherwise than it stands there, to be said after an import."""

from __future__ import annotations

from collections.abc import Iterator


class Notes:
    """How often each thing was done, with its first example."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, str]] = {}

    def add(self, what: str, example: str) -> None:
        """Once more."""
        count, first = self._said.get(what, (0, example))
        self._said[what] = count + 1, first

    def __iter__(self) -> Iterator[tuple[str, int, str]]:
        """What was done, how often, and the first example."""
        return ((what, count, example) for what, (count, example) in self._said.items())
