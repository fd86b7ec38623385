"""The one place where it is asked who may do what: before each use case, by the table of domain/access.

Laws: a use case that the table does not know is refused; the operator is asked nothing; what belongs to somebody else
(NotYours) and what is not there (NotFound) are told apart, and a surface that shall not say so answers both alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar, cast

from rating_engine.domain.access import ACTIONS
from rating_engine.domain.call_rules import line_of
from rating_engine.domain.change import LEAVE
from rating_engine.domain.errors import NotAllowed, NotYours
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.rights import Concern, Named, Otherwise, Right, refusal_of
from rating_engine.storage.finance.calling_cards import owner_of_card
from rating_engine.storage.finance.card_groups import owner_of_group
from rating_engine.storage.finance.credit_notes import owner_of_credit_note
from rating_engine.storage.finance.invoices import owner_of_invoice
from rating_engine.storage.finance.paid_services import owner_of_service
from rating_engine.storage.finance.payments import owner_of_payment
from rating_engine.storage.finance.subscriptions import owner_of_subscription
from rating_engine.storage.numbers.dids import owner_of_number
from rating_engine.storage.parties.keys import find_key
from rating_engine.storage.parties.logins import unknown_login
from rating_engine.storage.parties.owners import owner_of_account, owner_of_login
from rating_engine.storage.parties.parties import find_party, is_below
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.gateways import owner_of_route
from rating_engine.storage.tariffs.price_lists import made_and_paid, owner_of_tariff

UseCase = TypeVar("UseCase")
# Of what has a number of its own.
_OWNERS: Final[Mapping[Named, Callable[[Database, int], Awaitable[int]]]] = {
    Named.ACCOUNT: owner_of_account,
    Named.INVOICE: owner_of_invoice,
    Named.PAYMENT: owner_of_payment,
    Named.CREDIT_NOTE: owner_of_credit_note,
    Named.SERVICE: owner_of_service,
    Named.SUBSCRIPTION: owner_of_subscription,
}


class Guard:
    """Asks the question for one principal."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    def guarded(self, name: str, use_case: UseCase) -> UseCase:
        """The same use cases, asked about before each of them is done."""
        if self._principal.level >= Level.OPERATOR:
            return use_case
        return cast(UseCase, _Guarded(self, name, use_case))

    def check_asker(self, action: str) -> Right:
        """What may be asked at all. Errors: NotAllowed."""
        right = ACTIONS.get(action)
        refusal = "is for the operator alone" if right is None else refusal_of(self._principal, right)
        if refusal is not None or right is None:
            raise NotAllowed(f"{action}: {refusal}")
        return right

    async def check(self, action: str, arguments: Mapping[str, Any]) -> None:
        """Whether an asker may do this with these arguments. Errors: NotAllowed, NotYours, NotFound, Unavailable."""
        right = self.check_asker(action)
        self._check_admins_only(right, arguments)
        await self._check_tariffs(right, arguments)
        named = [await self._check_concern(concern, _at(arguments, concern.path)) for concern in right.concerns]
        about_all = not any(named) and all(concern.otherwise is Otherwise.ALL for concern in right.concerns)
        if right.concerns and about_all and not self._principal.sees_all:
            raise NotAllowed(f"{action}: {right.concerns[0].path} has to be given: all of them are not yours")

    def _check_admins_only(self, right: Right, arguments: Mapping[str, Any]) -> None:
        """An amount or a credit without a limit (None) is given where it is not 0."""
        if self._principal.level >= Level.ADMIN and self._principal.sees_all and self._principal.moves_money:
            return
        for path in right.admins_only:
            value = _at(arguments, path)
            if value is not LEAVE and value != 0:
                raise NotAllowed("money and credit are for an administrator to give", field=path.rpartition(".")[2])

    async def _check_tariffs(self, right: Right, arguments: Mapping[str, Any]) -> None:
        if self._principal.level >= Level.ADMIN and self._principal.sees_all:
            return
        for path in right.own_tariff:
            tariff = _at(arguments, path)
            if tariff in (None, LEAVE) or tariff == (await find_party(self._database, self._principal.realm)).tariff:
                continue
            if not await self._may_give(right, arguments, tariff):
                raise NotAllowed(f"tariff {tariff!r} is for an administrator to give", field="tariff")

    async def _may_give(self, right: Right, arguments: Mapping[str, Any], tariff: str) -> bool:
        """A tariff that the asker made, to whom it owns and for whose calls it pays; never to itself."""
        for concern in right.concerns:
            value = _at(arguments, concern.path)
            if value is None or value is LEAVE or self._is_own(await self._owner(concern.kind, value)):
                return False
        return await made_and_paid(self._database, self._principal.realm, tariff)

    async def _check_concern(self, concern: Concern, value: Any) -> bool:
        """Whether the argument names somebody, who is the asker's then."""
        if value is None or value is LEAVE:
            return False
        owner = await self._owner(concern.kind, value)
        if not await is_below(self._database, owner, self._principal.realm):
            raise NotYours(f"{concern.kind.value} {value!r} is not yours", field=concern.path.rpartition(".")[2])
        if concern.below and self._is_own(owner):
            raise NotAllowed("of oneself is for somebody else to change", field=concern.path.rpartition(".")[2])
        return True

    async def _owner(self, kind: Named, value: Any) -> int:
        if kind is Named.PARTY:
            return (await find_party(self._database, value)).party_id
        if kind is Named.NUMBER or (kind is Named.RULES and line_of(value) is None):
            return await owner_of_number(self._database, value)
        if kind is Named.KEY:
            return (await find_key(self._database, value)).owner_id
        if kind is Named.ROUTE:
            return await owner_of_route(self._database, value)
        if kind is Named.TARIFF:
            return await owner_of_tariff(self._database, value)
        if kind is Named.CARD_GROUP:
            return await owner_of_group(self._database, value)
        if kind is Named.CARD:
            return await owner_of_card(self._database, value)
        if kind is Named.ACCOUNT:
            return await owner_of_account(self._database, value)
        if kind is Named.SERVICE:
            return await owner_of_service(self._database, value)
        if kind is Named.SUBSCRIPTION:
            return await owner_of_subscription(self._database, value)
        if kind in _OWNERS:
            return await _OWNERS[kind](self._database, value)
        login = line_of(value) or value if kind is Named.RULES else value
        owner = await owner_of_login(self._database, login)
        if owner is None:
            raise unknown_login(login)
        return owner

    def _is_own(self, owner: int) -> bool:
        """What is the asker's, or of the party that it manages for; the system's is for its administrators."""
        return owner == self._principal.party_id or (owner == self._principal.realm and not self._principal.sees_all)


class _Guarded:
    """A record of use cases behind a guard."""

    def __init__(self, guard: Guard, name: str, use_case: object) -> None:
        self._guard = guard
        self._name = name
        self._use_case = use_case

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        function = getattr(self._use_case, method)
        action = f"{self._name}.{method}"
        if not inspect.iscoroutinefunction(function):  # a stream: about the whole installation
            right = self._guard.check_asker(action)
            if right.concerns:
                raise NotAllowed(f"{action}: is for the operator alone")
            return cast(Callable[..., Any], function)

        async def asked(*args: Any, **kwargs: Any) -> Any:
            given = inspect.signature(function).bind(*args, **kwargs)
            given.apply_defaults()
            await self._guard.check(action, given.arguments)
            return await function(*args, **kwargs)

        return asked


def _at(arguments: Mapping[str, Any], path: str) -> Any:
    """The argument at a path: `login`, or a field of one, `new.owner`."""
    name, _, field = path.partition(".")
    value = arguments[name]
    return getattr(value, field) if field else value
