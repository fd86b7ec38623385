"""Tariffs that people make, offer and change to: whose they are decides who may see and change them.

Laws: one sees what is one's own, what belongs to those one owns, what one's owner offers to all it owns, and what one
has or was allowed by name; nothing else, whatever one's level. A tariff that somebody has is not taken away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.checks import check_name
from rating_engine.domain.deck import DeckRate
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotYours, Overloaded
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import SYSTEM, Level
from rating_engine.domain.price_list import PriceList, PriceListChanges
from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff_card import Switched, SwitchOutcome, TariffChanges
from rating_engine.services.tariffs.options import Options, can_pay
from rating_engine.storage.audit_log import record
from rating_engine.storage.decks.listed_rates import rates_of_tariff
from rating_engine.storage.parties import accounts as account_store
from rating_engine.storage.parties.owners import owner_of_login
from rating_engine.storage.parties.parties import find_party, tree_of
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tariffs import direction_prices as price_store
from rating_engine.storage.tariffs import price_lists as store
from rating_engine.storage.tariffs.bill_types import find_bill_type
from rating_engine.storage.tariffs.price_lists import Viewer
from rating_engine.storage.tariffs.tariff_settings import set_tariff


async def viewer_of(questions: Questions, principal: Principal, *, near: bool = False) -> Viewer:
    """What a principal sees of tariffs. `near`: nothing that belongs to whom it owns. Errors: Unavailable."""
    if principal.party_id is None:  # nobody: what the owner of the key offers to all
        is_operator = principal.level >= Level.OPERATOR
        offers_of = SYSTEM if is_operator else (await find_party(questions, principal.party)).realm
        return Viewer(None if principal.sees_all and principal.level >= Level.ADMIN else [], offers_of)
    party = await find_party(questions, principal.party_id)
    owner = party if party.owner_id is None else await find_party(questions, party.owner_id)
    lines = await account_store.lines_of(questions, party.party_id, party.login)
    own = {line.tariff for line in lines} | ({party.tariff} if party.tariff else set())
    if near:
        owners: list[int] | None = [principal.realm]
    elif principal.sees_all and principal.level >= Level.ADMIN:
        owners = None
    else:
        owners = await tree_of(questions, principal.realm)
    return Viewer(owners, owner.realm, party.party_id, tuple(own))


class PriceLists:
    """What one principal does with tariffs by their numbers."""

    def __init__(self, database: Database, principal: Principal, *, currency: str) -> None:
        self._database = database
        self._principal = principal
        self._currency = currency

    async def page(
        self, cursor: Cursor, *, near: bool = False, public: bool | None = None, option: bool | None = None
    ) -> Page[PriceList]:
        """What is to be seen, by number. `near`: nothing of those one owns. Errors: InvalidRequest, Unavailable."""
        viewer = await viewer_of(self._database, self._principal, near=near)
        return await store.list_price_lists(self._database, viewer, cursor, public=public, option=option)

    async def show(self, tariff_id: int) -> PriceList:
        """One of them. Errors: NotFound, NotYours, Unavailable."""
        found = await store.find_price_list(self._database, tariff_id)
        viewer = await viewer_of(self._database, self._principal)
        if not await store.is_seen(self._database, viewer, tariff_id):
            raise NotYours(f"tariff {tariff_id} is not yours", field="rates")
        return found

    async def rates(self, tariff_id: int) -> list[DeckRate]:
        """Its rates that count now, by prefix. Errors: NotFound, NotYours, Refused (too many), Unavailable."""
        await self.show(tariff_id)
        return await rates_of_tariff(self._database, tariff_id)

    async def add(self, new: PriceListChanges) -> PriceList:
        """A tariff in the system's currency without prices; of what is given `name` must be.

        Errors: InvalidRequest naming the field, AlreadyExists, NotFound (the bill type), Unavailable.
        """
        if new.name is LEAVE:
            raise InvalidRequest("name", "must be given")
        values = given(new)
        async with self._database.transaction(self._principal) as tx:
            values |= {"name": await self._full_name(tx, new.name, self._principal.realm)}
            values |= {"currency": self._currency, "owner_id": self._principal.realm}
            tariff_id = await store.add_price_list(tx, values)
            await record(tx, "tariff.add", values["name"], values)
        return await store.find_price_list(self._database, tariff_id)

    async def change(self, tariff_id: int, changes: PriceListChanges) -> PriceList:
        """Set what is given, for the next call everywhere. Another bill type counts at once.

        Errors: InvalidRequest naming the field, NotFound, AlreadyExists, Unavailable; then nothing has changed.
        """
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            if changes.bill_type is not LEAVE:
                await find_bill_type(tx, changes.bill_type)
                await tx.execute("SELECT FROM bill_types WHERE name = $1 FOR SHARE", changes.bill_type)
            old = await store.hold_price_list(tx, tariff_id, as_key=True)
            if changes.name is not LEAVE:
                values["name"] = await self._full_name(tx, changes.name, old.owner_id)
            if (option := values.pop("is_option", None)) is not None:
                await set_tariff(tx, old.name, given(TariffChanges(is_option=option)))
            if values:
                await store.change_price_list(tx, tariff_id, values)
            if changes.bill_type not in (LEAVE, old.bill_type) and await price_store.load_prices(tx, tariff_id):
                await price_store.publish(tx, tariff_id, await find_bill_type(tx, changes.bill_type))
            await record(tx, "tariff.change", old.name, given(changes))
        return await store.find_price_list(self._database, tariff_id)

    async def remove(self, tariff_id: int) -> None:
        """Take a tariff away that nobody has. Errors: NotFound, Refused, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.lock_users_of_tariffs(tx)
            old = await store.hold_price_list(tx, tariff_id, as_key=True)
            await store.remove_price_list(tx, tariff_id)
            await record(tx, "tariff.remove", old.name)

    async def switch(self, login: str, tariff_id: int, *, granted: bool = True) -> Switched | None:
        """Give a line a tariff that it is offered, or an option; `granted` false: take the option away (None).

        What changing costs its account pays. Errors: NotFound, NotYours (it is not offered), InvalidRequest (no option
        is taken away), AlreadyExists (it has the option), Unavailable.
        """
        wanted = await store.find_price_list(self._database, tariff_id)
        if not await self._is_offered(login, wanted):
            raise NotYours(f"tariff {tariff_id} is not offered to {login}", field="id")
        self._check_may_charge([wanted] if granted else [])
        options = Options(self._database, self._principal)
        if not wanted.is_option:
            if not granted:
                raise InvalidRequest("state", "a tariff is changed by taking another one; options are taken away")
            return await options.switch_tariff(login, wanted.name)
        if not granted:
            await options.revoke(login, wanted.name)
            return None
        page = await options.page(login, Cursor(1_000))
        if any(each.in_force and each.tariff == wanted.name for each in page.items):
            raise AlreadyExists(f"{login} has this option already", field="id")
        return await options.grant(login, wanted.name)

    def _check_may_charge(self, lists: Collection[PriceList]) -> None:
        if not self._principal.moves_money and any(each.switch_price for each in lists):
            raise NotAllowed("what changing costs is money, which an accountant does not move", field="id")

    async def set_options(self, login: str, wanted: Collection[int]) -> bool:
        """Give a line these options and no others; False: its account has not the money for the ones that are new.

        What they cost together is looked for first, and each is paid by itself: asked again, what is missing follows.
        Errors: as `switch`.
        """
        lists = [await store.find_price_list(self._database, tariff_id) for tariff_id in dict.fromkeys(wanted)]
        options = Options(self._database, self._principal)
        page = await options.page(login, Cursor(1_000))
        had = {each.tariff for each in page.items if each.in_force}
        new = [each for each in lists if each.name not in had]
        for each in new:
            if not each.is_option:
                raise InvalidRequest("sip_rates_options", f"{each.tariff_id} is no option")
            if not await self._is_offered(login, each):
                raise NotYours(f"option {each.tariff_id} is not offered to {login}", field="sip_rates_options")
        self._check_may_charge(new)
        if not await can_pay(self._database, login, [each.name for each in new]):
            return False
        for each in new:
            if (await options.grant(login, each.name)).outcome is SwitchOutcome.INSUFFICIENT_FUNDS:
                return False
        for name in sorted(had - {each.name for each in lists}):
            await options.revoke(login, name)
        return True

    async def allowed(self, who: str | int) -> list[int]:
        """The tariffs that a user may change to beside those that are offered to all. Errors: NotFound, Unavailable."""
        return await store.allowed_tariffs(self._database, (await find_party(self._database, who)).party_id)

    async def allow(self, who: str | int, tariffs: Sequence[int]) -> None:
        """Let a user change to those and no others; they are such as one sees. Errors: NotFound, NotYours."""
        party = await find_party(self._database, who)
        for tariff_id in tariffs:
            await self.show(tariff_id)
        async with self._database.transaction(self._principal) as tx:
            await store.set_allowed_tariffs(tx, party.party_id, tariffs)
            await record(tx, "party.tariffs", party.login, {"tariffs": sorted(set(tariffs))})

    async def _is_offered(self, login: str, wanted: PriceList) -> bool:
        """Whether the line's user may have it: its owner offers it to all or allowed it; who owns the user decides, of
        what is its own."""
        owner_id = await owner_of_login(self._database, login)
        party = await find_party(self._database, SYSTEM if owner_id is None else owner_id)
        above = party if party.owner_id is None else await find_party(self._database, party.owner_id)
        if self._principal.sees_all and self._principal.level >= Level.ADMIN:
            return True
        is_public = wanted.is_public and wanted.owner_id == above.realm
        if not is_public and wanted.tariff_id not in await store.allowed_tariffs(self._database, party.party_id):
            return False
        # Who sells by prices of its own pays for the calls itself, or they would be the operator's loss.
        return wanted.owner_id == SYSTEM or (
            await store.made_and_paid(self._database, wanted.owner_id, wanted.name)
            and await store.pays_for(self._database, wanted.owner_id, login)
        )

    async def _full_name(self, tx: Transaction, title: str, owner_id: int) -> str:
        """The name in the whole engine: what is not the system's begins with its owner's."""
        name = title if owner_id == SYSTEM else f"{(await find_party(tx, owner_id)).login}/{title}"
        check_name(name)
        return name


def check_unchanged(held: PriceList, seen: PriceList) -> None:
    """Errors: Overloaded where another change came between."""
    if held.bill_type != seen.bill_type:
        raise Overloaded("the tariff is being changed by somebody else; try again")
