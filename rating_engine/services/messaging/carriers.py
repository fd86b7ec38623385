"""Carriers of messages, each by its name, and which of them a number goes by.

Law: a carrier says one of four things of a message: it has it; it will not have it; it was not reached and has heard
nothing; or nobody knows. Of the third alone it may be handed over again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rating_engine.domain.message import Message, MessageKind

NO_CARRIER: Final = "no carrier serves the number; see the setting message_carriers"
HAND_OVER_SECONDS: Final = 15.0  # that one carrier may take; who waits is a person at a web page


class CarrierRefused(Exception):
    """It will not have the message; another one may."""


class CarrierAway(Exception):
    """It was not reached, so that it has heard nothing."""


class CarrierSilent(Exception):
    """It was handed the message, or a part of it, and has not answered: nobody knows whether it has it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What it calls the message, '' where it does not say. `answer`: of a query."""

    carrier_id: str = ""
    answer: str = ""


class Carrier(Protocol):
    """Somebody who takes messages, within HAND_OVER_SECONDS."""

    @property
    def name(self) -> str:
        """By which the settings and its reports call it."""

    @property
    def kinds(self) -> frozenset[MessageKind]:
        """What it takes."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Of the numbers that it serves; '' for all."""

    @property
    def cost_tariff(self) -> str:
        """The tariff whose prices of messages are what it takes; '': nobody has said."""

    @property
    def is_here(self) -> bool:
        """Whether this process can reach it; else a message waits for the one that does."""

    async def hand_over(self, message: Message) -> Accepted:
        """Give it a message. Errors: CarrierRefused, CarrierAway, CarrierSilent."""


class Carriers:
    """All that are configured, in their order."""

    def __init__(self, carriers: Sequence[Carrier] = ()) -> None:
        self._carriers = tuple(carriers)

    @property
    def all(self) -> tuple[Carrier, ...]:
        """Every one of them."""
        return self._carriers

    def for_number(self, kind: MessageKind, number: str) -> list[Carrier]:
        """Those that serve a number, the one with the longest prefix of it first, then in their order."""
        found = [
            (-max(len(prefix) for prefix in fitting), place, carrier)
            for place, carrier in enumerate(self._carriers)
            if kind in carrier.kinds and (fitting := [each for each in carrier.prefixes if number.startswith(each)])
        ]
        return [carrier for _, _, carrier in sorted(found, key=lambda each: each[:2])]

    def named(self, name: str) -> Carrier | None:
        """The one of a name; None: it is not configured."""
        return next((carrier for carrier in self._carriers if carrier.name == name), None)

    def for_message(self, message: Message) -> list[Carrier]:
        """Those that may be asked for a message: of its offers, where it has some."""
        if not message.offered:
            return self.for_number(message.kind, message.recipient)
        return [carrier for name in message.offered if (carrier := self.named(name)) is not None]

    @property
    def here(self) -> list[str]:
        """The names of those that this process can reach now."""
        return [carrier.name for carrier in self._carriers if carrier.is_here]
