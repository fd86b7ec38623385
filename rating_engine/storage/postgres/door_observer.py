"""Where the figures of a door to PostgreSQL go."""

from __future__ import annotations

from typing import Protocol


class DoorObserver(Protocol):
    """Where the figures of a door go (telemetry)."""

    def database_state(self, door: str, up: bool) -> None:
        """Whether the server answers at this door."""

    def database_busy(self, door: str) -> None:
        """Somebody waited for a connection in vain, or did not even wait."""

    def database_late(self, door: str) -> None:
        """A statement was not answered within the deadline."""


class NoObserver:
    """Counts nothing."""

    def database_state(self, door: str, up: bool) -> None:
        """Nothing."""

    def database_busy(self, door: str) -> None:
        """Nothing."""

    def database_late(self, door: str) -> None:
        """Nothing."""
