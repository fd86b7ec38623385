"""Paths as they may stand in a log: where one has a secret, without it."""

from __future__ import annotations

import re
from typing import Final

# Behind a version stands the key; slashes may be repeated.
_KEY_IN_PATH: Final = re.compile(r"(/+billing/+api/+[^/]*/+)[^/]+", re.IGNORECASE)

_LINK_IN_PATH: Final = re.compile(r"(/+recordings/+)[^/]+", re.IGNORECASE)


def shown_path(path: str) -> str:
    """The path with stars in the place of the key of /billing/api/{version}/{key}/{method}, and of a link's token."""
    return _LINK_IN_PATH.sub(r"\1***", _KEY_IN_PATH.sub(r"\1***", path))
