"""The section Balance of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "user_balance_update",
        Source.RESTATED,
        parameters=(
            Parameter("user_id", required=True),
            Parameter("balance", required=True),
        ),
        hashed=("user_id", "balance"),
        errors=(
            "User was not found",
            "Incorrect hash",
            "Bad login",
            "User balance not updated",
        ),
        older=("change_user_balance", "user_balance_change"),
        roles=MANAGERS,
        permission=Permission.FINANCIAL_DATA,
        moves_money=True,
    ),
    Function(
        "user_balance_get",
        Source.RESTATED,
        parameters=(
            Parameter("username", required=True),
            Parameter("currency"),
            Parameter("user_currency"),
        ),
        hashed=("username", "currency"),
        errors=(
            "User was not found",
            "Feature disabled",
            "Incorrect hash",
        ),
        older=("balance",),
    ),
    Function(
        "user_simple_balance_get",
        Source.INFERRED,
        parameters=(
            Parameter("id"),
            Parameter("username"),
        ),
        hashed=None,
        errors=(
            "User was not found",
            "Feature disabled",
        ),
        older=("simple_balance",),
    ),
    Function(
        "user_balance_get_by_psw",
        Source.RESTATED,
        parameters=(Parameter("currency"),),
        hashed=None,
        errors=(
            "Feature disabled",
            "User was not found",
        ),
        in_path="password",
    ),
    Function(
        "user_balance_get_by_username",
        Source.RESTATED,
        parameters=(Parameter("currency"),),
        hashed=None,
        errors=(
            "Feature disabled",
            "User was not found",
        ),
        in_path="username",
    ),
)
