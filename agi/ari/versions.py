"""Which Asterisk can what of its REST interface: by its own changes, and by what was tried (docs/ari.md). No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

Version = tuple[int, int]

# REST over WebSocket, and a cause where a Dial was not answered in time.
OLDEST: Final[Mapping[int, int]] = {20: 14, 21: 9, 22: 4}
# Before these a phone that transfers a call by us (ari-only) ends Asterisk; of 21 every one does.
TRANSFERS: Final[Mapping[int, int]] = {20: 18, 22: 8, 23: 2}
# And before these still one that says `Refer-Sub: false` with it.
QUIET_TRANSFERS: Final[Mapping[int, int]] = {20: 21, 22: 11, 23: 5}
_NEVER: Final = 10_000
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")


def version_of(text: str) -> Version | None:
    """22.10.1~dfsg is (22, 10); None: it is not known, as of one made from a branch."""
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), int(found[2]))


def has(version: Version | None, since: Mapping[int, int]) -> bool:
    """Whether it is as new as its branch has to be; what is newer than all branches is, what is not known too."""
    if version is None or version[0] > max(since):
        return True
    return version[1] >= since.get(version[0], _NEVER)
