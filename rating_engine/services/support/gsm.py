"""Providers of GSM services, each by its name: what they are asked is up to the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rating_engine.domain.errors import NotFound, RatingEngineError


class UnknownProvider(NotFound):
    """No provider of that name is configured."""


class UnknownAction(RatingEngineError):
    """The provider is there, and has not this action."""

    code = "unknown_action"


class Gsm(Protocol):
    """What asks providers."""

    async def ask(self, provider: str, action: str, given: Mapping[str, str]) -> str:
        """What a provider answers. Errors: UnknownProvider, UnknownAction, CarrierFailed."""


class GsmRequests:
    """Requests of surfaces to providers."""

    def __init__(self, gsm: Gsm) -> None:
        self._gsm = gsm

    async def ask(self, provider: str, action: str, given: Mapping[str, str]) -> str:
        """What the provider answers. Errors: UnknownProvider, UnknownAction, CarrierFailed."""
        return await self._gsm.ask(provider, action, given)
