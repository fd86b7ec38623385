"""The section Version."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.xml import Element, element, page


async def system_version_get(asked: Asked) -> Element:
    """The version of the engine."""
    return page(element("version", version("rating-engine")))


HANDLERS: Final[Mapping[str, Handler]] = {"system_version_get": system_version_get}
