"""Settings of payments and invoices."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator

from rating_engine.rating.money import InvalidAmount, parse_amount
from rating_engine.settings.texts import Group, Texts

# NAME public|private PERCENT SECRET URL; SECRET signs both ways, so it may not be guessed.
_HANDLER: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_]{0,31}) (?P<group>public|private) (?P<percent>\d{1,2}(?:\.\d{1,3})?) "
    r"(?P<secret>\S{16,200}) (?P<url>https?://[^\s/?#]+\S*)"
)


class PaymentSettings(Group):
    """Payments that users ask for, and when invoices are due."""

    # --- payments and invoices
    payment_minimal: str = Field(
        "1",
        description="The least that a user may ask to pay, in the system's currency: below it fees of banks are more"
        " than what comes. An amount as text.",
    )
    payment_minimal_start: str = Field(
        "1", description="The same of a new user (level 10), whose first payment shows that it means it."
    )
    payment_maximum: str = Field(
        "100000",
        description="The most that may be asked for at once, in the system's currency: more is a slip, or somebody who"
        " launders. Empty: any amount.",
    )
    payment_handlers: Texts = Field(
        (),
        repr=False,
        max_length=50,
        description="Payment methods beside manual, each NAME public|private PERCENT SECRET URL: private ones are for"
        " users with refill_allowed 2; PERCENT is the commission that is put on; who pays is sent to URL with the"
        " payment's fields, signed with SECRET (16 characters or more), and what the gateway tells finishInvoice has to"
        " be signed with it too. See docs/invoices.md. In the environment separated by commas.",
    )
    invoice_days: int = Field(
        14,
        ge=0,
        le=365,
        description="How many days after its date an invoice is to be paid; it stands on it. 14 is what most ask.",
    )

    @field_validator("payment_minimal", "payment_minimal_start", "payment_maximum")
    @classmethod
    def _check_amounts(cls, value: str) -> str:
        if value:
            try:
                parse_amount(value, "amount")
            except InvalidAmount as error:
                raise ValueError(error.problem) from None
        return value

    @field_validator("payment_handlers")
    @classmethod
    def _check_handlers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = set()
        for place, text in enumerate(value, start=1):
            found = _HANDLER.fullmatch(text)
            if not found:  # not repeated: it holds a secret
                raise ValueError(
                    f"entry {place} must be NAME public|private PERCENT SECRET URL, the secret of 16 characters or more"
                )
            if found["name"] in names or found["name"] == "manual":
                raise ValueError(f"entry {place}: {found['name']} is there already")
            names.add(found["name"])
        return value
