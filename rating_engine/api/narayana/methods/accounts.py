"""Section Accounts: those of one's users, shown and closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.shown_money import ShownMoney, shown_money
from rating_engine.api.narayana.user_object import REFILL_ALL, amounts
from rating_engine.domain.account import AccountKind, ListedAccount
from rating_engine.domain.errors import NotFound
from rating_engine.domain.party import PartyFilter

SYSTEMS: Final = "system"  # the owner of what is nobody's


async def get_accounts(asked: Asked) -> Answer:
    """Of who asks and of the users it owns itself; `all`: of those below them too. Closed ones are not listed."""
    accounts = [account for account in await whole_list(asked.use.accounts.page) if account.closed_at is None]
    if not asked.values.flag("all"):
        near = await _near(asked)
        accounts = [account for account in accounts if account.owner in near]
    shown = await shown_money(asked)
    return [_shown(account, shown) for account in accounts]


async def get_account_info(asked: Asked) -> Answer:
    """One of them, by its number."""
    found = await asked.use.accounts.numbered(asked.values.needed_whole("account"))
    return _shown(found, await shown_money(asked))


async def delete_account(asked: Asked) -> Answer:
    """Close one that nobody uses any more, and that has no money."""
    account = await asked.use.accounts.numbered(asked.values.needed_whole("account"))
    if account.owner != SYSTEMS and await _is_there(asked, account.owner):
        raise Failure(Code.E_ACCOUNT_HAS_USERS, f"account: {account.owner} has it; delete the user first")
    await asked.use.accounts.close_empty(account.login)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getAccounts": get_accounts,
    "getAccountInfo": get_account_info,
    "deleteAccount": delete_account,
}


async def _near(asked: Asked) -> set[str]:
    """Who asks, and whom it owns itself."""
    found = await whole_list(lambda cursor: asked.use.parties.page(PartyFilter(hidden=True), cursor))
    return {party.login for party in found if asked.asking.realm in (party.party_id, party.owner_id)} | {SYSTEMS}


async def _is_there(asked: Asked, login: str) -> bool:
    try:
        return not (await asked.use.parties.show(login)).hidden
    except NotFound:
        return False


def _shown(account: ListedAccount, shown: ShownMoney) -> dict[str, Any]:
    return {
        "account": account.account_id,
        "users": [] if account.owner == SYSTEMS else [account.owner],
        **amounts(account.balance, account.overdraft, account.currency, shown),
        "refill_allowed": REFILL_ALL,
        "postpaid": int(account.kind is AccountKind.POSTPAID),
    }
