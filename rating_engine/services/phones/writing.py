"""How a line and its phone are written, within a unit of work: by whom, with which number, password and exchange.

Laws: what the hash of a password is made of (number, realm, password) is written with it; of one's own lines one lowers
limits and shows none but one's own numbers; the first main number one may take, further ones are given; what an
exchange believes is for administrators to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.errors import InvalidRequest, NotAllowed
from rating_engine.domain.exchanges import SipExchange
from rating_engine.domain.party import Level, Party
from rating_engine.domain.principal import Principal
from rating_engine.domain.sip_account import (
    MAIN_DIGITS,
    ExtensionInCall,
    ExtensionTaken,
    NewSipAccount,
    SipAccount,
    SipChanges,
    WrongExtension,
    ha1,
    is_additional,
    phone_columns,
)
from rating_engine.services.phones.lines import make_line
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers.dids import numbers_of
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.phones import sip_accounts as store
from rating_engine.storage.phones.exchanges import exchange_called, share_exchange
from rating_engine.storage.phones.sip_accounts import Held
from rating_engine.storage.postgres.transaction import Transaction

ADMINS_ONLY: Final = frozenset({"host", "context", "endpoint_options", "allow", "dtmf_mode"})  # an exchange believes it
OWNERS: Final = frozenset({"exchange", "max_contacts", "technology", "numbering_plan"})  # for whoever owns the user


class PhoneWriter:
    """Writes for one principal."""

    def __init__(self, principal: Principal, secrets: SecretBox, *, buckets: int) -> None:
        self._principal = principal
        self._secrets = secrets
        self._buckets = buckets

    async def create(
        self, tx: Transaction, new: NewSipAccount, *, balance: Decimal = Decimal(0), account_of: str | None = None
    ) -> None:
        """A line with a phone; its own account, if it gets one, has `balance`.

        `account_of`: a login on the account that it is charged on; None: its owner's. Errors: as SipAccounts.create.
        """
        owner = await find_party(tx, self._principal.realm if new.owner is None else new.owner)
        if owner.hidden:
            raise InvalidRequest("owner", f"{owner.login!r} was deleted")
        await store.wait_for_owner(tx, owner.party_id)
        lines = [line for line, _ in await store.lines_of(tx, [owner.party_id])]
        self._check_number(new.login, owner, lines, await store.given_up_main(tx, owner.party_id))
        own = owner.party_id == self._principal.party_id
        self.check_rights(given(new.settings), lines, own=own, numbers=await numbers_of(tx, owner.party_id))
        exchange = await exchange_of(tx, new.exchange, lines)
        held = await store.hold_line(tx, new.login)
        bucket = None
        if held is None:
            bucket = await make_line(
                tx, new.login, owner, lines, new.settings, buckets=self._buckets, balance=balance, account_of=account_of
            )
            held = await store.hold_line(tx, new.login)
            assert held is not None
        elif held.was_deleted and held.owner_id == owner.party_id:
            await store.let_call(tx, held.place)
        else:
            raise ExtensionTaken(f"number {new.login} is taken", field="sip_extension")
        await store.put_phone(tx, held.place, exchange.exchange_id)
        await self.set(tx, held, new.login, replace(new.settings, password=new.password, exchange=exchange.name), lines)
        await record(
            tx, "phone.create", new.login, {"owner": owner.login, "exchange": exchange.name, "new": bucket is not None},
            bucket=held.place.bucket,
        )  # fmt: skip

    async def set(
        self, tx: Transaction, held: Held, login: str, changes: SipChanges, lines: list[SipAccount],
        sealed: bytes | None = None,
    ) -> None:  # fmt: skip
        """Write what is given. What the hash is made of is written with it: number, realm and password."""
        values = given(changes)
        line: dict[str, Any] = {
            name: values[name] for name in ("callerid", "max_seconds", "login", "numbering_plan") if name in values
        }
        if line.get("login") == login:
            del line["login"]
        if "login" in line:
            self._check_number(line["login"], await find_party(tx, held.owner_id), lines)
            if await store.is_in_call(tx, held.place):
                raise ExtensionInCall(f"number {login} has a call in progress", field="extension")
        phone = phone_columns(values)
        if "trusted_cli" in phone:
            phone["trust_is_given"] = self._principal.level >= Level.RESELLER
        if values.keys() & {"password", "exchange", "login"}:
            phone |= await self._credentials(tx, login, changes, lines, sealed)
        if line:
            await store.change_line(tx, held.place, line)
        if phone:
            await store.change_phone(tx, held.place, phone)

    async def _credentials(
        self, tx: Transaction, login: str, changes: SipChanges, lines: list[SipAccount], sealed: bytes | None
    ) -> dict[str, Any]:
        own = next((line.exchange for line in lines if line.login == login), None)
        called = own if changes.exchange is LEAVE else changes.exchange
        exchange = await share_exchange(tx, await exchange_called(tx, called))
        if changes.password is not LEAVE:
            sealed = self._secrets.seal(changes.password)
        if sealed is None:
            return {"exchange_id": exchange.exchange_id}
        name = login if changes.login is LEAVE else changes.login
        password = self._secrets.open(sealed)
        hashed = ha1(name, exchange.realm, password)
        found_by = self._secrets.hashes(password)[0]
        return {"exchange_id": exchange.exchange_id, "secret": sealed, "md5_cred": hashed, "secret_hash": found_by}

    def _check_number(self, login: str, owner: Party, lines: list[SipAccount], given_up: str | None = None) -> None:
        """Whether its owner may have this number, and who asks may give it.

        `given_up`: the main one that the owner had; who deletes and makes again has the same, and uses up no others.
        """
        mains = {line.login for line in lines if not is_additional(line.login)}
        if is_additional(login):
            if login[:-2] not in mains:
                raise WrongExtension("sip_extension", f"{login} does not begin with a main number of {owner.login!r}")
        elif self._principal.level < Level.RESELLER and (
            any(len(main) == MAIN_DIGITS for main in mains) or given_up not in (None, login)
        ):
            raise NotAllowed("a main number is for whoever owns the user to give", field="sip_extension")

    def check_rights(
        self, values: Mapping[str, Any], lines: list[SipAccount], *, own: bool, longest: int | None = None,
        numbers: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """What of a line, one's own or another's, may be set by who asks. `longest`: its longest call now; `numbers`:
        telephone numbers of its owner, which it may show.
        """
        level = self._principal.level
        if level >= Level.ADMIN:
            return
        for name in sorted(values.keys() & ADMINS_ONLY):
            raise NotAllowed("is for an administrator to change", field=name)
        if not own:
            return
        if level < Level.RESELLER:
            for name in sorted(values.keys() & OWNERS):
                raise NotAllowed("is for whoever owns the user to change", field=name)
            if "callerid" in values:
                _check_callerid(values["callerid"], lines, numbers)
        if "max_seconds" in values and not _is_lower(values["max_seconds"], longest):
            raise NotAllowed("of oneself can only be lowered", field="sip_max_call_len")


async def exchange_of(tx: Transaction, called: str | None, lines: list[SipAccount]) -> SipExchange:
    """That one, or that of the first line which has one, or the only one. Errors: NoSuchExchange, Unavailable."""
    own = next((line.exchange for line in lines if line.exchange is not None), None)
    return await exchange_called(tx, called or own)


def _check_callerid(callerid: str, lines: list[SipAccount], numbers: Sequence[str]) -> None:
    """One of one's own numbers, or one that is trusted by whoever owns the user. Raises NotAllowed."""
    known = {number for line in lines for number in (line.callerid, line.login)}
    known |= set(numbers)
    known |= {line.trusted_cli for line in lines if line.trust_is_given}
    if callerid and callerid.removeprefix("+") not in {number.removeprefix("+") for number in known}:
        raise NotAllowed("is neither a number of yours nor one that is trusted", field="sip_callerid")


def _is_lower(seconds: int | None, now: int | None) -> bool:
    return seconds is not None and (now is None or seconds <= now)
