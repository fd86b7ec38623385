"""The functions that are answered Access Denied: what they need is not there yet. By section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MISSING_BY_SECTION: Final[Mapping[str, tuple[str, ...]]] = {
    "Monitorings": ("ma_activate",),
}
MISSING: Final = frozenset(name for names in MISSING_BY_SECTION.values() for name in names)
