"""Currencies: how they are written, and what transfers and invitations cost in the system's currency."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.price_list import Currency
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = "code, sign, enabled, transfer_fee, referral_reward"
# All that are spoken of anywhere, the oldest rate's too: a handful.
_CODES: Final = "SELECT currency_from FROM exchange_rates UNION SELECT currency_to FROM exchange_rates"


async def load_currencies(questions: Questions) -> dict[str, Currency]:
    """What was said of currencies, by their codes. Errors: Unavailable."""
    rows = await questions.fetch(f"SELECT {_COLUMNS} FROM currencies ORDER BY code")  # noqa: S608  # constants
    return {row["code"]: Currency(**row) for row in rows}


async def exchanged_currencies(questions: Questions) -> set[str]:
    """Every currency that an exchange rate speaks of. Errors: Unavailable."""
    return {row[0] for row in await questions.fetch(_CODES)}


async def set_currency(tx: Transaction, currency: Currency) -> None:
    """Keep what is said of a currency. Errors: Unavailable."""
    await tx.execute(
        f"INSERT INTO currencies ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (code) DO UPDATE "  # noqa: S608
        "SET sign = EXCLUDED.sign, enabled = EXCLUDED.enabled, transfer_fee = EXCLUDED.transfer_fee, "
        "referral_reward = EXCLUDED.referral_reward",
        currency.code, currency.sign, currency.enabled, currency.transfer_fee, currency.referral_reward,
    )  # fmt: skip
