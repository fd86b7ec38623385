"""Who asks for a change: every management call says so, and the audit log keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Principal:
    """One asker. `party` is whose authority it is, `key` names the credential, `address` is where it came from.

    `level` is what the party may do at most, `surface` the door it came through.
    """

    party: str
    level: str
    surface: str
    key: str | None = None
    address: str | None = None


OPERATOR: Final = Principal(party="operator", level="operator", surface="cli")  # who can read the settings file
ENGINE: Final = Principal(party="engine", level="engine", surface="engine")  # what the engine does by itself
