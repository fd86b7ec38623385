"""Who is it that asks: by key, by password, by session; each answered by a principal or by why not.

Laws: what is wrong is told alike and takes alike long, whether the login or the password was; who guesses the passwords
of a login is told no for a while, with the right one too; a party that is locked or deleted, or below one, stays out;
a key asks for nobody who does not belong to its owner; no secret is in an answer or a log line. Who is let in is
remembered for a moment (lately), passwords and sessions never.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from rating_engine.domain.addresses import is_in, network_of_host
from rating_engine.domain.api_key import ApiKey, KeyKind
from rating_engine.domain.errors import NotFound
from rating_engine.domain.party import Level, Party
from rating_engine.domain.principal import NOBODYS, Principal, principal_of
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.services.parties.bans import BanBook, WrongKeys
from rating_engine.services.parties.keys import hash_of
from rating_engine.services.parties.lately import Lately
from rating_engine.services.parties.passwords import Passwords
from rating_engine.services.parties.request_limits import RequestLimits
from rating_engine.services.parties.tries import Tries
from rating_engine.storage.parties import keys as key_store
from rating_engine.storage.parties import parties as store
from rating_engine.storage.parties import sessions as session_store
from rating_engine.storage.parties.owners import owner_of_login
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support import sim_cards as card_store

TOKEN_BYTES: Final = 32
LineOwner = Callable[[str], Awaitable[int | None]]  # None: it is not known

WRONG_PASSWORDS: Final = 10  # different ones for a login from one host; then none is looked at for a while
WRONG_SECONDS: Final = 900.0
KEYS_SEEN_MAX: Final = 10_000  # server keys whose look-up counts for no address


@dataclass(frozen=True, slots=True)
class Door:
    """Where a request came in: by which surface, from where (of the connection, or as a listed proxy says), and whether
    nobody could listen. `method`: what it asks for, as the surface calls it; None: keys are not asked for methods.
    """

    surface: str
    address: str | None
    secure: bool = False
    method: str | None = None


class Access:
    """What a surface asks before anything else. One a process."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        bans: BanBook,
        wrong_keys: WrongKeys,
        limits: RequestLimits | None = None,
    ) -> None:
        """`limits` None: nobody is limited."""
        self.line_owner: LineOwner | None = None  # where whose a line is stands in memory
        self._lately = Lately()
        self.bans = bans
        self._database = database
        self._passwords = passwords
        self._wrong_keys = wrong_keys
        self._limits = limits or RequestLimits()
        self._tries = Tries(WRONG_SECONDS)
        self._servers: OrderedDict[bytes, None] = OrderedDict()  # hashes of server keys, the latest last

    async def by_key(self, secret: str, door: Door) -> ApiKey | NotAdmitted:
        """The key of a request, if it is for this door. Who asks with it, `user_of` or `owner_of` says.

        A wrong one may get its address banned; who asks too often hears TOO_MANY. Errors: Unavailable.
        """
        if door.address is not None and self.bans.refuses(door.address):
            return NotAdmitted(Refusal.BANNED)
        secret_hash = hash_of(secret)
        if secret_hash not in self._servers and (limited := await self.limit_address(door)) is not None:
            return limited
        key = await self._lately.ask(secret_hash, lambda: key_store.key_of_secret(self._database, secret_hash))
        if key is None or key.revoked_at is not None or not key.enabled:
            self._servers.pop(secret_hash, None)
            await self._wrong_keys.heard(door.address, secret_hash)
            return NotAdmitted(Refusal.UNKNOWN_KEY)
        if key.sources and (door.address is None or not is_in(door.address, key.sources)):
            return NotAdmitted(Refusal.WRONG_ADDRESS, key.name)
        if key.secure_only and not door.secure:
            return NotAdmitted(Refusal.NOT_SECURE, key.name)
        if key.methods and door.method is not None and door.method not in key.methods:
            return NotAdmitted(Refusal.WRONG_METHOD, key.name)
        if key.kind is KeyKind.SERVER:
            self._see(secret_hash)
        seconds = await self._limits.of_key(key)
        return NotAdmitted(Refusal.TOO_MANY, key.name, seconds) if seconds else key

    async def limit_address(self, door: Door) -> NotAdmitted | None:
        """Count a request that shows no key for its address; None: it may."""
        seconds = await self._limits.of_address(door.address)
        return NotAdmitted(Refusal.TOO_MANY, "the address", seconds) if seconds else None

    def _see(self, secret_hash: bytes) -> None:
        """It counts for itself from now on, and not for the addresses that it asks from."""
        self._servers[secret_hash] = None
        self._servers.move_to_end(secret_hash)
        if len(self._servers) > KEYS_SEEN_MAX:
            self._servers.popitem(last=False)

    async def authenticate(
        self, secret: str, door: Door, *, user: str | int | None = None, md5: str | None = None
    ) -> Principal | NotAdmitted:
        """Who asks with a key: the user that the request names, else the key's default user, else its owner.

        A server key needs no password; a client key does for a user that is named (by its MD5), and asks as nobody
        (level ANYBODY) where nobody is. Errors: Overloaded, Unavailable.
        """
        key = await self.by_key(secret, door)
        if isinstance(key, NotAdmitted):
            return key
        return await self.as_user(key, door, user=user, md5=md5)

    async def as_user(
        self, key: ApiKey, door: Door, *, user: str | int | None = None, md5: str | None = None
    ) -> Principal | NotAdmitted:
        """The same with a key that `by_key` has answered. Errors: Overloaded, Unavailable."""
        named = user if user is not None else key.default_user
        if named is None:
            return await self._nobody_named(key, door)
        party = await self._known(named)
        needs_password = user is not None and (md5 is not None or key.kind is KeyKind.CLIENT)
        wrong = await self._wrong_password(str(user), party, md5 or "", door) if needs_password else None
        if wrong is not None or party is None:
            return wrong or NotAdmitted(Refusal.NO_USER, key.name)
        owner = await self.party(key.owner_id)
        if await self._is_locked(owner.party_id):
            return NotAdmitted(Refusal.LOCKED, owner.login)
        if party.level > owner.level or not await self._is_below(party.party_id, owner.realm):
            return NotAdmitted(Refusal.NOT_YOURS, key.name)
        return await self.admit(party, door, key)

    async def on_behalf(self, key: ApiKey, asking: Principal, who: str, door: Door) -> Principal | NotAdmitted:
        """Another user for whom `asking` asks with a key: below the key's owner where the key has a default user, else
        below `asking`; with a public key never of a higher level than its own.

        Errors: Unavailable.
        """
        party = await self._known(who)
        if party is None:
            return NotAdmitted(Refusal.NO_USER, key.name)
        owner = await self.party(key.owner_id)
        is_static = key.default_user is not None
        realm, most = (owner.realm, owner.level) if is_static else (asking.realm, asking.level)
        if key.kind is KeyKind.CLIENT:
            most = min(most, asking.level)
        if party.level > most or not await self._is_below(party.party_id, realm):
            return NotAdmitted(Refusal.NOT_YOURS, key.name)
        return await self.admit(party, door, key)

    async def as_owner(self, key: ApiKey, door: Door) -> Principal | NotAdmitted:
        """The owner of a key, for what is nobody's: where it works with what is the system's. Errors: Unavailable."""
        owner = await self.party(key.owner_id)
        asking = await self.admit(owner, door, key)
        if isinstance(asking, Principal) and not asking.sees_all:
            return NotAdmitted(Refusal.NOT_YOURS, key.name)
        return asking

    async def owner_of_line(self, login: str) -> int | None:
        """Whose line it is, by its number; None: there is no such line. Errors: Unavailable."""
        known = None if self.line_owner is None else await self.line_owner(login)
        return await owner_of_login(self._database, login) if known is None else known

    async def owner_of_card(self, name: str, *, by_iccid: bool) -> tuple[int, str | None] | None:
        """Whose an enabled SIM card is, by its ICCID or its number, and the line it calls by, which is the owner's too;
        None: nobody's. Errors: Unavailable.
        """
        found = await card_store.owner_of_card(self._database, name, by_iccid=by_iccid)
        if found is None:
            return None
        owner, line = found
        return owner, line if line and await owner_of_login(self._database, line) == owner else None

    async def by_token(self, token: str, door: Door, scopes: Collection[str]) -> Principal | NotAdmitted:
        """Who asks with a bearer token of a surface: the key's default user, else its owner.

        A token is a secret: a server key, one with a default user, or one for some of the `scopes` of the surface. Any
        other client key is public, and proves nobody. Errors: Unavailable.
        """
        key = await self.by_key(token, door)
        if isinstance(key, NotAdmitted):
            return key
        if key.default_user is not None:
            return await self.admit(await self.party(key.default_user), door, key)
        if key.kind is KeyKind.SERVER or not set(scopes).isdisjoint(key.scopes):
            return await self.admit(await self.party(key.owner_id), door, key)
        return NotAdmitted(Refusal.NO_USER, key.name)

    async def by_password(self, login: str, md5: str, door: Door, *, by_mail: bool = False) -> Principal | NotAdmitted:
        """Who has this login and password, the password by its MD5 in hex. `by_mail`: where nobody has the login, who
        alone has it for the address of its mail. Errors: Overloaded, Unavailable.
        """
        if door.address is not None and self.bans.refuses(door.address):
            return NotAdmitted(Refusal.BANNED)
        if (limited := await self.limit_address(door)) is not None:
            return limited
        party: Party | None
        try:
            party = await store.find_party(self._database, login)
        except NotFound:
            party = await store.only_party_with_mail(self._database, login) if by_mail else None
        if party is not None and party.hidden:
            party = None
        if (wrong := await self._wrong_password(login, party, md5, door)) is not None or party is None:
            return wrong or NotAdmitted(Refusal.NO_USER)
        return await self.admit(party, door)

    async def start_session(self, principal: Principal, *, idle_seconds: int) -> str:
        """A token for who has been let in, good until nobody has used it for so long. Errors: Unavailable."""
        assert principal.party_id is not None
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await session_store.start_session(
            self._database, _token_hash(token), principal.party_id, surface=principal.surface,
            address=principal.address or "", idle_seconds=idle_seconds,
        )  # fmt: skip
        return token

    async def by_session(self, token: str, door: Door) -> Principal | NotAdmitted:
        """Whose session it is, of this surface; its end moves. Errors: Unavailable."""
        party_id = await session_store.use_session(self._database, _token_hash(token), door.surface)
        if party_id is None:
            return NotAdmitted(Refusal.NO_SESSION)
        return await self.admit(await store.find_party(self._database, party_id), door)

    async def end_session(self, token: str) -> None:
        """It is over. Errors: Unavailable."""
        await session_store.end_session(self._database, _token_hash(token))

    async def _nobody_named(self, key: ApiKey, door: Door) -> Principal | NotAdmitted:
        owner = await self.party(key.owner_id)
        admitted = await self.admit(owner, door, key)
        if isinstance(admitted, NotAdmitted) or key.kind is KeyKind.SERVER:
            return admitted
        return replace(admitted, level=Level.ANYBODY, party_id=None, realm=NOBODYS, moves_money=False)

    async def _wrong_password(self, login: str, party: Party | None, md5: str, door: Door) -> NotAdmitted | None:
        """None: it is right."""
        host = None if door.address is None else network_of_host(door.address)
        who = f"{login.lower()} {host}"
        if self._tries.count(who) >= WRONG_PASSWORDS:
            return NotAdmitted(Refusal.NO_USER, "too many wrong passwords lately")
        wrong = await self._look_at(party, md5)
        if wrong is None:
            self._tries.forget(who)
        else:
            self._tries.wrong(who, md5)
        return wrong

    async def _look_at(self, party: Party | None, md5: str) -> NotAdmitted | None:
        hashed = None if party is None else await store.password_hash(self._database, party.party_id)
        if party is None or hashed is None:
            await self._passwords.verify_nobody(md5)
            return NotAdmitted(Refusal.NO_USER, "no such user, or it has no password")
        if not await self._passwords.verify(md5, hashed):
            return NotAdmitted(Refusal.NO_USER, "the password is wrong")
        return None

    async def party(self, who: str | int) -> Party:
        """Who is named, for a surface whose requests prove it themselves. Errors: NotFound, Unavailable."""
        return await self._lately.ask(("party", who), lambda: store.find_party(self._database, who))

    async def _known(self, who: str | int) -> Party | None:
        """Who is named; None: nobody is, or who was deleted. Errors: Unavailable."""
        try:
            party = await self.party(who)
        except NotFound:
            return None
        return None if party.hidden else party

    async def _is_locked(self, party_id: int) -> bool:
        return await self._lately.ask(("locked", party_id), lambda: store.is_locked(self._database, party_id))

    async def _is_below(self, party_id: int, top: int) -> bool:
        return await self._lately.ask(("below", party_id, top), lambda: store.is_below(self._database, party_id, top))

    async def admit(self, party: Party, door: Door, key: ApiKey | None = None) -> Principal | NotAdmitted:
        """A party that has been proved to ask, as the principal that it is. Errors: Unavailable."""
        if await self._is_locked(party.party_id):
            return NotAdmitted(Refusal.LOCKED, party.login)
        if key is None:
            return principal_of(party, door.surface, address=door.address)
        return principal_of(
            party,
            door.surface,
            address=door.address,
            key=key.name,
            key_level=key.level if key.kind is KeyKind.SERVER else None,
            scopes=frozenset(key.scopes) or None,
        )


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
