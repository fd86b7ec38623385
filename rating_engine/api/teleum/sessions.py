"""Commands of the contract: balance."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from rating_engine.api.teleum.asked import Answer, Asked, Handler
from rating_engine.api.teleum.forms import money
from rating_engine.domain.account import OwnAccount


def contract_of(account: OwnAccount | None) -> str:
    """A contract number has eight digits at the least; of who has no account '00000000'."""
    return f"{0 if account is None else account.number:08d}"


async def balance(asked: Asked) -> Answer:
    """The money of the user's account, under both names of its contract."""
    own = await asked.use.accounts.own(asked.who)
    contract = contract_of(own)
    return {"account": contract, "contract": contract, "balance": money(Decimal(0) if own is None else own.balance)}


HANDLERS: Final[Mapping[str, Handler]] = {"balance": balance}
