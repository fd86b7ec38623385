"""The section Balance."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from starlette.responses import Response

from rating_engine.api.mor.asked import MAX_WHOLE, Asked, Handler
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.money import USER, at_least, in_system_currency, known
from rating_engine.api.mor.named import NO_USER, account_of, user_called, user_of
from rating_engine.api.mor.xml import Element, element, listed, page
from rating_engine.domain.errors import NotAllowed, RatingEngineError
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.parties.telephone_balances import Money

NOT_UPDATED: Final = "User balance not updated"
REASON: Final = "user_balance_update"
DECIMALS: Final = 4  # that a balance has at the least


async def user_balance_get(asked: Asked) -> Element:
    """Of one's own or a user's account, in the system's currency, another one, or (USER) the account's."""
    user = await user_called(asked, asked.needed("username", NO_USER))
    account = await account_of(asked, user)
    money = Money(account.balance, account.currency)
    wanted = USER if asked.text("user_currency").strip() == "1" else asked.text("currency").strip()
    return await _balance(asked, money, wanted)


async def user_balance_update(asked: Asked) -> Element:
    """Add a signed amount of the system's currency; a reseller's is from, or to, his own account."""
    user = await user_of(asked)
    amount = asked.amount("balance", NOT_UPDATED)
    account = await account_of(asked, user)
    if not amount:
        raise Failed(NOT_UPDATED)
    converter = await asked.use.currencies.converter()
    change = known(converter.convert(amount, converter.system, account.currency), NOT_UPDATED)
    use = asked.use
    try:
        if not asked.asking.sees_all:
            await use.transfers.shift(account.account_id, change)
        elif change > 0:
            await use.accounts.top_up(account.login, change)
        else:
            await use.accounts.adjust(account.login, change, reason=REASON)
    except NotAllowed:
        raise
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed(NOT_UPDATED, str(error)) from None
    after = await use.accounts.numbered(account.account_id)
    balance = await in_system_currency(asked, after.balance, after.currency)
    fields = (("username", user.login), ("id", user.party_id), ("balance", at_least(balance, 1)))
    return page(page(element("status", "User balance updated"), listed("user", fields)))


async def user_simple_balance_get(asked: Asked) -> Response:
    """For telephones: the amount alone, as text."""
    money = await _of_user(asked)
    if money is None:
        return Response(NO_USER, media_type="text/plain")
    return Response(at_least(money.balance, DECIMALS), media_type="text/plain")


async def user_balance_get_by_username(asked: Asked) -> Element:
    """For telephones: of the owner of the device with this user name, which stands in the path."""
    money = await asked.services.telephone_balances.of_line(asked.in_path or "")
    return await _balance(asked, _there(money), asked.text("currency").strip())


async def user_balance_get_by_psw(asked: Asked) -> Element:
    """For telephones: of the owner of the device with this password, which stands in the path and in no log."""
    money = await asked.services.telephone_balances.of_password(asked.in_path or "", asked.door)
    return await _balance(asked, _there(money), asked.text("currency").strip())


async def _of_user(asked: Asked) -> Money | None:
    number = asked.text("id").strip()
    balances = asked.services.telephone_balances
    if number:
        is_number = number.isascii() and number.isdigit() and len(number) < len(str(MAX_WHOLE))
        return await balances.of_user(int(number)) if is_number else None
    login = asked.text("username").strip()
    return await balances.of_user(login) if login else None


def _there(money: Money | None) -> Money:
    if money is None:
        raise Failed(NO_USER)
    return money


async def _balance(asked: Asked, money: Money, wanted: str) -> Element:
    """In the currency that is asked for; '': the system's."""
    balance: Decimal | None = money.balance
    if wanted.upper() != USER:
        converter = await asked.services.of(OPERATOR).currencies.converter()
        balance = converter.convert(money.balance, money.currency, wanted.upper() or converter.system)
    return page(element("balance", at_least(known(balance), DECIMALS)))


HANDLERS: Final[Mapping[str, Handler]] = {
    "user_balance_get": user_balance_get,
    "user_balance_update": user_balance_update,
    "user_simple_balance_get": user_simple_balance_get,
    "user_balance_get_by_username": user_balance_get_by_username,
    "user_balance_get_by_psw": user_balance_get_by_psw,
}
