"""Who asks with a name and a hash of what it asks for, worked out with a secret.

Laws: administrators and accountants sign with the system's secret, a reseller with its own, a user with its owner's;
without one, or where it is switched off, nobody gets in; hashes are compared in constant time. A wrong secret makes
another hash of every request, so more of them are let by than wrong keys before an address is banned.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from rating_engine.domain.addresses import is_in
from rating_engine.domain.errors import NotFound
from rating_engine.domain.hash_secret import HashSecret
from rating_engine.domain.party import SYSTEM, Party, PartyKind
from rating_engine.domain.principal import Principal
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.domain.sip_account import NoSecretKey
from rating_engine.services.parties.access import Access, Door
from rating_engine.services.parties.bans import WrongKeys
from rating_engine.services.parties.lately import Lately
from rating_engine.services.parties.request_limits import RequestLimits
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.parties.hash_secrets import secret_of
from rating_engine.storage.postgres.pool import Database

HASHES_FOR_A_KEY: Final = 6  # so many times as many different wrong hashes as wrong keys ban an address
ADDRESSES_MAX: Final = 10_000  # that have shown a right hash, and are counted by their secret

_SHA1: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says of itself. `texts`: what its hash may be of, before the secret; `weak_texts`: and what is let
    pass though it covers less.
    """

    login: str
    function: str
    hash: str = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    weak_texts: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """Who was let in; `is_weak`: by a hash that covers less than it should."""

    principal: Principal
    is_weak: bool


class SignedRequests:
    """What a surface asks whose requests are signed. One a process."""

    def __init__(
        self, database: Database, access: Access, box: SecretBox, wrong: WrongKeys, limits: RequestLimits | None
    ) -> None:
        """`wrong`: told of wrong hashes. `limits` None: nobody is limited."""
        self._database = database
        self._access = access
        self._box = box
        self._wrong = wrong
        self._limits = limits or RequestLimits()
        self._lately = Lately()
        self._right: OrderedDict[str, None] = OrderedDict()  # addresses, the latest last

    async def at_the_door(self, door: Door) -> NotAdmitted | None:
        """Asked before anything is looked at: whether the address is banned, or asks too often. Errors: Unavailable."""
        if door.address is not None and self._access.bans.refuses(door.address):
            return NotAdmitted(Refusal.BANNED)
        return None if door.address in self._right else await self._access.limit_address(door)

    async def is_open(self, function: str) -> bool:
        """Whether anybody at all may ask for this. Errors: Unavailable."""
        system = await self._secret(SYSTEM)
        return system is not None and _is_for(system[0], function)

    async def ask(self, signature: Signature, door: Door) -> Signed | NotAdmitted:
        """Who asks. Refusals: NO_USER, WRONG_METHOD (it is off, or this function is), WRONG_ADDRESS, UNKNOWN_KEY (the
        hash), TOO_MANY, LOCKED. Errors: Unavailable.
        """
        party = await self._party(signature.login)
        if party is None:
            return NotAdmitted(Refusal.NO_USER)
        found = await self._secret(signer_of(party))
        if found is None or not _is_for(found[0], signature.function):
            return NotAdmitted(Refusal.WRONG_METHOD, party.login)
        kept, secret = found
        if kept.sources and (door.address is None or not is_in(door.address, kept.sources)):
            return NotAdmitted(Refusal.WRONG_ADDRESS, party.login)
        given = signature.hash.strip().lower()
        is_right = _matches(given, signature.texts, secret)
        is_weak = not is_right and _matches(given, signature.weak_texts, secret)
        if not is_right and not is_weak:
            await self._heard_wrong(given, door)
            return NotAdmitted(Refusal.UNKNOWN_KEY, party.login)
        self._heard_right(door)
        if seconds := await self._limits.of_signer(kept.owner):
            return NotAdmitted(Refusal.TOO_MANY, party.login, seconds)
        principal = await self._access.admit(party, door)
        return principal if isinstance(principal, NotAdmitted) else Signed(principal, is_weak)

    async def hides_usernames(self, who: int) -> bool:
        """Whether a user is not shown the names of its phones, as its owner or the system has it.

        Errors: Unavailable.
        """
        owners = {signer_of(await self._access.party(who)), SYSTEM}
        kept = [await self._secret(owner) for owner in owners]
        return any(each is not None and each[0].hide_usernames for each in kept)

    async def _party(self, login: str) -> Party | None:
        if not login:
            return None
        try:
            party = await self._access.party(login)
        except NotFound:
            return None
        return None if party.kind is PartyKind.SYSTEM or party.hidden else party

    async def _secret(self, owner: int) -> tuple[HashSecret, str] | None:
        """What is signed with. None: nothing, or what nobody can read."""
        found = await self._lately.ask(owner, lambda: secret_of(self._database, owner))
        if found is None:
            return None
        try:
            return found[0], self._box.open(found[1])
        except NoSecretKey:
            return None

    def _heard_right(self, door: Door) -> None:
        if door.address is not None:
            self._right[door.address] = None
            self._right.move_to_end(door.address)
            if len(self._right) > ADDRESSES_MAX:
                self._right.popitem(last=False)

    async def _heard_wrong(self, given: str, door: Door) -> None:
        self._right.pop(door.address or "", None)
        if given:
            await self._wrong.heard(door.address, given.encode())


def signer_of(party: Party) -> int:
    """Whose secret a party signs with: who may own others has one of its own, everybody else signs with its owner's."""
    return party.party_id if party.kind.may_own or party.owner_id is None else party.owner_id


def _is_for(secret: HashSecret, function: str) -> bool:
    return secret.enabled and function not in secret.blocked


def _matches(given: str, texts: Iterable[str], secret: str) -> bool:
    """Whether a hash is of one of the texts and the secret; all are worked out, whichever it is."""
    if not _SHA1.fullmatch(given):
        return False
    found = [hmac.compare_digest(given, _hash(text + secret)) for text in texts]
    return any(found)


def _hash(text: str) -> str:
    """SHA-1, which the document demands."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
