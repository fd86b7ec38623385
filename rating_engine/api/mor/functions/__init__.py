"""What the functions do, a module a section; one that is in none of them stands in `missing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Handler
from rating_engine.api.mor.functions import callers, device, did, login, version

MADE: Final[Mapping[str, Handler]] = {
    **callers.HANDLERS,
    **device.HANDLERS,
    **did.HANDLERS,
    **login.HANDLERS,
    **version.HANDLERS,
}
