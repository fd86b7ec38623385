"""How often codes are tried, and by whom: so that none is guessed.

Laws: each try is written down before it is looked at, so that a hundred at once are a hundred; a wrong code counts as a
wrong key of the address it came from, which may get that banned, but not where it came by a server key: behind one is a
portal with all its users.
"""

from __future__ import annotations

import hmac
from typing import Final

from rating_engine.domain.addresses import network_of_host
from rating_engine.domain.card import NUMBER_LENGTHS, pin_text
from rating_engine.domain.code import TooManyTries
from rating_engine.domain.errors import NotFound
from rating_engine.domain.principal import Principal
from rating_engine.services.parties.bans import WrongKeys
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.finance.cards import Card, begin_try, find_card, find_vouchers, forget_try
from rating_engine.storage.postgres.pool import Database

TRIES: Final = 10  # an hour: registrations asked for, registrations, wrong codes
NOWHERE: Final = "nowhere"  # who came by no address


class Guesses:
    """Looks codes up for one principal."""

    def __init__(self, database: Database, principal: Principal, secrets: SecretBox, wrong_keys: WrongKeys) -> None:
        self._database = database
        self._principal = principal
        self._secrets = secrets
        self._wrong_keys = wrong_keys

    async def count(self, what: str) -> None:
        """One more of the address that asks. Errors: TooManyTries, Unavailable."""
        _, tries = await begin_try(self._database, self._host, what)
        if tries > TRIES:
            raise TooManyTries(f"{TRIES} an hour of one address, and no more")

    async def find(self, number: str, *, cards: bool = False) -> Card:
        """The code of a number that is there; `cards`: or the calling card of a number with its PIN behind it.

        Errors: NotFound (counted), TooManyTries, NoSecretKey, Unavailable.
        """
        hashes = self._secrets.hashes(number)
        who = self._host if self._principal.party_id is None else f"user {self._principal.party_id}"
        at, tries = await begin_try(self._database, who, "guess")
        if tries > TRIES:
            raise TooManyTries(f"{TRIES} wrong codes an hour, and no more")
        card = await find_card(self._database, hashes)
        if card is None and cards:
            card = await self._voucher(number)
        if card is None or card.deleted:
            if self._principal.key_level is None:
                await self._wrong_keys.heard(self._principal.address, hashes[0])
            raise NotFound("there is no such code", field="code")
        await forget_try(self._database, who, "guess", at)
        return card

    async def _voucher(self, text: str) -> Card | None:
        """A calling card that was sold, counts, and whose group lets its money be taken otherwise than by calls."""
        ends = range(NUMBER_LENGTHS[0], min(NUMBER_LENGTHS[1], len(text)) + 1)
        hashes = [each for end in ends for each in self._secrets.hashes(text[:end])]
        for found in await find_vouchers(self._database, hashes):
            pin = text[found.number_length :]
            if found.pin_hash is None and not pin:
                return found.card
            rights = self._secrets.hashes(pin_text(pin))
            if found.pin_hash is not None and any(hmac.compare_digest(found.pin_hash, each) for each in rights):
                return found.card
        return None

    @property
    def _host(self) -> str:
        """The address, of IPv6 its /64."""
        address = self._principal.address
        host = None if address is None else network_of_host(address)
        return NOWHERE if host is None else str(host)
