"""Who stands on a paper: who issues it, and who is billed, as both stand now; and the next number of an issuer."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rating_engine.domain.papers import PaperParty
from rating_engine.domain.tax import PartyTax
from rating_engine.storage.finance.taxes import TAXES, taxes_from
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

# An owner that manages issues in the name of its own owner.
_OF: Final = f"""
    SELECT p.party_id, p.login, p.language, COALESCE(NULLIF(d.billing_name, ''), NULLIF(p.name, ''), p.login) AS name,
           COALESCE(d.billing_address, '') AS address,
           COALESCE(NULLIF(d.billing_email, ''), p.notify_email) AS email,
           COALESCE(d.billing_bank_account, '') AS bank_account, COALESCE(d.tax_number, '') AS tax_number,
           {TAXES},
           CASE WHEN o.kind IN ('admin', 'accountant') THEN o.owner_id ELSE COALESCE(o.party_id, 1) END AS issuer_id,
           COALESCE(o.kind IN ('reseller', 'tenant'), false) AS is_resold
    FROM parties p LEFT JOIN party_details d ON d.party_id = p.party_id LEFT JOIN parties o ON o.party_id = p.owner_id
    WHERE p.party_id = $1"""  # noqa: S608  # constants
_ROW: Final = "INSERT INTO paper_numbers (issuer_id, series) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_HOLD: Final = "SELECT last_number FROM paper_numbers WHERE issuer_id = $1 AND series = $2 FOR UPDATE"
_TAKE: Final = """
    UPDATE paper_numbers SET last_number = last_number + 1 WHERE issuer_id = $1 AND series = $2 RETURNING last_number"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A party as papers name it. `issuer_id`: who issues what it has to pay; `is_resold`: that is a reseller."""

    party_id: int
    login: str
    language: str
    taxes: tuple[PartyTax, ...]
    issuer_id: int
    is_resold: bool
    on_paper: PaperParty

    @property
    def tax_percent(self) -> Decimal:
        """Of all its taxes together."""
        return sum((tax.percent for tax in self.taxes), Decimal(0))


async def standing_of(questions: Questions, party_id: int) -> Standing:
    """How a party stands on papers now. Errors: Unavailable."""
    row = await questions.fetchrow(_OF, party_id)
    assert row is not None
    return Standing(
        row["party_id"], row["login"], row["language"], taxes_from(row["taxes"]), row["issuer_id"], row["is_resold"],
        PaperParty(row["name"], row["address"], row["email"], row["bank_account"], row["tax_number"]),
    )  # fmt: skip


async def hold_numbers(tx: Transaction, issuer_id: int, series: str) -> None:
    """Nobody takes a number of that series before the transaction ends. Errors: Unavailable."""
    await tx.execute(_ROW, issuer_id, series)
    await tx.fetchval(_HOLD, issuer_id, series)


async def take_number(tx: Transaction, issuer_id: int, series: str) -> int:
    """The next number; it is given back where the transaction fails. `hold_numbers` comes before."""
    return int(await tx.fetchval(_TAKE, issuer_id, series))
