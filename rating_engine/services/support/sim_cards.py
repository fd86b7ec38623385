"""SIM cards: bound by PUK, changed by their owner as far as that is harmless, managed by who owns the owner."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hmac import compare_digest
from typing import Final, Protocol

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.errors import InvalidRequest, NotAllowed, NotYours, Refused
from rating_engine.domain.message import InvalidRecipient, check_text, sender_of
from rating_engine.domain.page import MAX_LIMIT, Cursor, Page
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.sim_card import (
    LOCK_MINUTES,
    WRONG_PUKS,
    NewSimCard,
    SimCard,
    SimChanges,
    check_puk,
)
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.services.support.gsm import Gsm, UnknownAction, UnknownProvider
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties.owners import owner_of_login
from rating_engine.storage.parties.parties import find_party, is_below, tree_of
from rating_engine.storage.phones.sip_accounts import lines_of
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.support import sim_cards as store

OF_ONESELF: Final = frozenset({"line", "callback_cid"})  # the rest is for who owns the owner
RESEAL_AT_ONCE: Final = 500  # cards of one transaction
SECRET: Final = frozenset({"puk1", "puk2"})  # for administrators to set


class Notices(Protocol):
    """What sends SMS that nobody pays for, by carriers of messages."""

    async def send(self, party_id: int | None, sender: str, recipient: str, text: str) -> None:
        """Errors: CarrierFailed, Unavailable."""


class SimCards:
    """What one principal does with SIM cards, each by its ICCID."""

    def __init__(
        self, database: Database, principal: Principal, secrets: SecretBox, gsm: Gsm, notices: Notices
    ) -> None:
        self._database = database
        self._principal = principal
        self._secrets = secrets
        self._gsm = gsm
        self._notices = notices

    async def page(self, cursor: Cursor, *, own: bool = False, only_enabled: bool = False) -> Page[SimCard]:
        """Those of who asks and of all below, or everybody's for who sees all. Errors: InvalidRequest, Unavailable."""
        who = self._principal
        if own:
            owners: list[int] | None = [] if who.party_id is None else [who.party_id]
        else:
            owners = None if self._is_admin else await tree_of(self._database, who.realm)
        page = await store.list_cards(self._database, owners, only_enabled, cursor)
        return Page(tuple(self._shown(kept) for kept in page.items), page.next)

    async def of_asker(self) -> list[SimCard]:
        """One's own, MAX_LIMIT at the most. Errors: Unavailable."""
        return list((await self.page(Cursor(MAX_LIMIT), own=True)).items)

    async def show(self, iccid: str) -> SimCard:
        """One card. Errors: NotFound, NotYours, Unavailable."""
        kept = await store.find_card(self._database, iccid)
        await self._check_theirs(self._database, kept.card)
        return self._shown(kept)

    async def add(self, new: NewSimCard) -> None:
        """A card that is nobody's yet. Errors: AlreadyExists, NoSecretKey (PUKs and no key), Unavailable."""
        puk1, puk2 = (self._secrets.seal(puk) if puk else None for puk in (new.puk1, new.puk2))
        async with self._database.transaction(self._principal) as tx:
            await store.add_card(tx, new, puk1, puk2)
            await record(tx, "sim.add", new.iccid, {"provider": new.provider, "msisdn": new.msisdn})

    async def remove(self, iccid: str) -> None:
        """Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            kept = await store.hold_card(tx, iccid)
            await store.remove_card(tx, iccid)
            await record(tx, "sim.remove", iccid, {"owner": kept.card.owner})

    async def bind(self, iccid: str, puk1: str, puk2: str) -> None:
        """Make a card one's own by its PUKs.

        Errors: InvalidRequest (they are wrong, or too many were), NotFound, NotYours (it is somebody's), NoSecretKey,
        Refused (it is off, or has no PUKs), Unavailable.
        """
        check_puk(puk1, "puk1")
        check_puk(puk2, "puk2")
        async with self._database.transaction(self._principal) as tx:
            kept = await store.hold_card(tx, iccid)
            is_right = await self._try_puks(tx, kept, puk1, puk2)
        if not is_right:  # after the count of wrong ones was written
            raise InvalidRequest(
                "puk1", "or puk2 is wrong, or too many wrong ones came: then wait a quarter of an hour"
            )

    async def unbind(self, iccid: str) -> None:
        """Make a card nobody's. Errors: NotFound, NotYours, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            kept = await store.hold_card(tx, iccid)
            await self._check_theirs(tx, kept.card)
            await store.change_card(tx, iccid, {"party_id": None, "line": "", "callback_cid": ""})
            await record(tx, "sim.unbind", iccid, {"owner": kept.card.owner})

    async def change(self, iccid: str, changes: SimChanges) -> SimCard:
        """Set what is given, all of it or nothing. Of one's own card: its line and its caller id.

        Errors: InvalidRequest (line, callback_cid; nothing is given), NotAllowed (field), NotFound, NotYours,
        NoSecretKey, Unavailable.
        """
        values = given(changes)
        if not values:
            raise InvalidRequest("iccid", "nothing is given that is to be changed")
        async with self._database.transaction(self._principal) as tx:
            card = (await store.hold_card(tx, iccid)).card
            await self._check_theirs(tx, card)
            self._check_fields(card, values)
            columns = {name: self._sealed(value) if name in SECRET else value for name, value in values.items()}
            if changes.owner is not LEAVE:
                columns["party_id"] = await self._new_owner(tx, columns.pop("owner"))
                if columns["party_id"] != card.owner_id:
                    columns = {"line": "", "callback_cid": "", **columns}
            owner_id = columns.get("party_id", card.owner_id)
            await self._check_line(tx, owner_id, columns.get("line", ""))
            await self._check_callback(tx, owner_id, card, columns.get("callback_cid", ""))
            await store.change_card(tx, iccid, columns)
            shown = {name: True if name in SECRET else value for name, value in values.items()}
            await record(tx, "sim.change", iccid, shown)
        return self._shown(await store.find_card(self._database, iccid))

    async def notify(self, iccid: str, sender: str, text: str) -> None:
        """Send an SMS to a card, by the provider whose it is, or where that takes none by a carrier of messages.

        Errors: NotAllowed (a key of too low a level), InvalidSender, InvalidRecipient (it has no number), NotFound,
        CarrierFailed (none is configured, or it refuses), Unavailable.
        """
        if self._principal.method_level < Level.SERVER:
            raise NotAllowed(f"takes a key of level {int(Level.SERVER)}")
        sender = sender_of(sender)
        check_text(text)
        kept = await store.find_card(self._database, iccid)
        await self._check_theirs(self._database, kept.card)
        if not kept.card.msisdn or not kept.card.enabled:
            raise InvalidRecipient("sim", "has no number, or is off")
        given_to = {"from": sender, "to": kept.card.msisdn, "text": text, "iccid": iccid}
        try:
            await self._gsm.ask(kept.card.provider, "sms", given_to)
        except (UnknownProvider, UnknownAction):
            await self._notices.send(kept.card.owner_id, sender, kept.card.msisdn, text)
        async with self._database.transaction(self._principal) as tx:
            await record(tx, "sim.notify", iccid, {"from": sender})

    async def reseal(self) -> int:
        """Keep every PUK under the first key of the settings; how many cards. Errors: NoSecretKey, Unavailable."""
        after, count = 0, 0
        while cards := await store.sealed_puks(self._database, after, RESEAL_AT_ONCE):
            async with self._database.transaction(self._principal) as tx:
                for sim_id, *before in cards:
                    fresh = [None if sealed is None else self._secrets.resealed(sealed) for sealed in before]
                    await store.reseal_puks(tx, sim_id, (before[0], before[1]), (fresh[0], fresh[1]))
                await record(tx, "sim.reseal", "secret_keys", {"cards": len(cards)})
            after, count = cards[-1][0], count + len(cards)
        return count

    @property
    def _is_admin(self) -> bool:
        return self._principal.sees_all and self._principal.level >= Level.ADMIN

    def _is_own(self, card: SimCard) -> bool:
        return card.owner_id is not None and card.owner_id == self._principal.party_id

    def _shown(self, kept: store.KeptCard) -> SimCard:
        if not self._is_admin and not self._is_own(kept.card):
            return kept.card
        puk1, puk2 = (self._secrets.shown(sealed) or "" for sealed in (kept.puk1, kept.puk2))
        return replace(kept.card, puk1=puk1, puk2=puk2)

    def _sealed(self, puk: str) -> bytes | None:
        return self._secrets.seal(puk) if puk else None

    async def _check_theirs(self, questions: Questions, card: SimCard) -> None:
        if self._is_admin:
            return
        if card.owner_id is None or not await is_below(questions, card.owner_id, self._principal.realm):
            raise NotYours(f"SIM card {card.iccid} is not yours", field="iccid")

    async def _try_puks(self, tx: Transaction, kept: store.KeptCard, puk1: str, puk2: str) -> bool:
        card, who = kept.card, self._principal
        if card.owner_id is not None and not self._is_own(card):
            raise NotYours(f"SIM card {card.iccid} is somebody's", field="iccid")
        if not card.enabled or kept.puk1 is None or kept.puk2 is None or who.party_id is None:
            raise Refused("the SIM card cannot be bound: it is off, or has no PUKs", field="iccid")
        if kept.is_locked:
            return False
        right = f"{self._secrets.open(kept.puk1)} {self._secrets.open(kept.puk2)}"
        if not compare_digest(right.encode(), f"{puk1} {puk2}".encode()):
            wrong = kept.wrong_puks + 1
            lock = timedelta(minutes=LOCK_MINUTES) if wrong >= WRONG_PUKS else None
            await store.count_wrong(tx, card.iccid, 0 if lock else wrong, lock=lock)
            await record(tx, "sim.wrong_puk", card.iccid)
            return False
        await store.count_wrong(tx, card.iccid, 0, lock=None)
        await store.change_card(tx, card.iccid, {"party_id": who.party_id})
        await record(tx, "sim.bind", card.iccid, {"owner": who.party})
        return True

    def _check_fields(self, card: SimCard, values: dict[str, object]) -> None:
        if self._is_admin:
            return
        for name in values:
            if name in SECRET:
                raise NotAllowed(f"{name}: is for administrators to set", field=name)
            if name not in OF_ONESELF and (self._is_own(card) or self._principal.level < Level.RESELLER):
                raise NotAllowed(f"{name}: of oneself is for somebody else to change", field=name)

    async def _new_owner(self, tx: Transaction, login: object) -> int | None:
        if login is None:
            return None
        party = await find_party(tx, str(login))
        if not await is_below(tx, party.party_id, self._principal.realm):
            raise NotYours(f"user {party.login!r} is not yours", field="owner")
        if party.hidden:
            raise InvalidRequest("owner", f"{party.login!r} was deleted")
        return party.party_id

    async def _check_line(self, tx: Transaction, owner_id: object, line: object) -> None:
        if line and (owner_id is None or await owner_of_login(tx, str(line)) != owner_id):
            raise InvalidRequest("sip_extension", "is no extension of the card's owner")

    async def _check_callback(self, tx: Transaction, owner_id: object, card: SimCard, callerid: object) -> None:
        """Below a reseller: what is the owner's, so that nobody calls as somebody else."""
        if not callerid or self._principal.level >= Level.RESELLER:
            return
        own = {card.msisdn}
        if isinstance(owner_id, int):
            own |= {line.callerid for line, _ in await lines_of(tx, [owner_id])}
        if callerid not in own:
            raise NotAllowed("callback_cid: is a number of one of your lines, or of the card", field="callback_cid")
