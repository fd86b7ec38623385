"""Section Accounts: those of one's users, shown, changed and closed.

Laws: of one's own account one changes what invoices say, and nothing of its money; a balance that is set is moved from
or to the account of who owns the user, and made by administrators alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.methods.user import check_not_read_only
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.shown_money import ShownMoney, own_currency, shown_money
from rating_engine.api.narayana.user_object import amounts
from rating_engine.domain.account import AccountChanges, AccountKind, ListedAccount
from rating_engine.domain.change import LEAVE
from rating_engine.domain.checks import check_amount
from rating_engine.domain.errors import NotFound
from rating_engine.domain.party import BILLING, Level, PartyChanges, PartyFilter

MONEY: Final = ("balance", "overdraft", "refill_allowed", "postpaid")
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


async def update_account(asked: Asked) -> Answer:
    """Set what is given; amounts are in the currency of who asks. All is looked at before anything is changed."""
    values = asked.values
    check_not_read_only(asked)
    account = await _named(asked)
    who = await asked.user()
    is_own = account.owner == who.login
    for name in MONEY:
        if name in asked.names and (is_own or asked.asking.level < Level.RESELLER):
            raise Failure(Code.E_INSUFFICIENT_ACCESS, f"{name}: is for who owns the user, and never one's own")
    balance = values.number("balance")
    if balance is not None and asked.asking.level > Level.ADMIN:
        raise Failure(Code.E_INSUFFICIENT_ACCESS, "balance: is not for levels above 33; transfer money")
    currency = await own_currency(asked)
    overdraft = values.number("overdraft")
    postpaid = values.whole("postpaid")
    refill = values.whole("refill_allowed")
    if postpaid is not None and postpaid not in (0, 1):
        raise Failure(Code.E_DATA_ABORT, "postpaid: is 0 or 1")
    if balance is not None:
        check_amount(balance, "balance", allow_negative=True)
    changes = AccountChanges(
        overdraft=LEAVE if overdraft is None else await _in_own(asked, overdraft, currency, account),
        kind=LEAVE if postpaid is None else AccountKind.POSTPAID if postpaid else AccountKind.PREPAID,
        refill_allowed=LEAVE if refill is None else refill,
    )
    billing: dict[str, Any] = {name: text for name in BILLING if (text := values.text(name)) is not None}
    if balance is not None:
        await asked.use.transfers.set_balance(account.account_id, balance, currency=currency)
    if asked.names & {"overdraft", "postpaid", "refill_allowed"}:
        await asked.use.accounts.change(account.login, changes)
    if billing:
        await asked.use.parties.change(account.owner, PartyChanges(**billing))
    return True


async def delete_account(asked: Asked) -> Answer:
    """Close one that nobody uses any more, and that has no money."""
    account = await asked.use.accounts.numbered(asked.values.needed_whole("account"))
    if account.owner != SYSTEMS and await _is_there(asked, account.owner):
        raise Failure(Code.E_ACCOUNT_HAS_USERS, f"account: {account.owner} has it; delete the user first")
    await asked.use.accounts.close_empty(account.login)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "updateAccount": update_account,
    "getAccounts": get_accounts,
    "getAccountInfo": get_account_info,
    "deleteAccount": delete_account,
}


async def _named(asked: Asked) -> ListedAccount:
    """The account that is meant: by its number, else that of who asks."""
    number = asked.values.whole("account")
    if number is None:
        line = await asked.main_line()
        if line is None:
            raise Failure(Code.E_NOT_EXIST, "account: the user has none")
        number = line.account_id
    return await asked.use.accounts.numbered(number)


async def _in_own(asked: Asked, amount: Decimal, currency: str, account: ListedAccount) -> Decimal:
    """An amount in the currency of an account."""
    check_amount(amount, "overdraft")
    return await asked.use.transfers.converted(amount, currency, account.currency)


async def _near(asked: Asked) -> set[str]:
    """Who asks, and whom it owns itself."""
    found = await whole_list(lambda cursor: asked.use.parties.page(PartyFilter(hidden=True, unlisted=True), cursor))
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
        "refill_allowed": int(account.refill_allowed),
        "postpaid": int(account.kind is AccountKind.POSTPAID),
    }
