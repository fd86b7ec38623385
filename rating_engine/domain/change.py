"""Changes of settings: what is given is set, what is not given stays.

None is a value of its own ("no limit"), so that "leave it as it is" needs another word: LEAVE.
"""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any, Final


class Leave(Enum):
    """The one value that stands for a setting that is not to be changed."""

    LEAVE = "leave"


LEAVE: Final = Leave.LEAVE


def given(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass of settings that are not LEAVE, with their values."""
    found = ((each.name, getattr(settings, each.name)) for each in fields(settings))
    return {name: value for name, value in found if value is not LEAVE}
