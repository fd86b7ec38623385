"""What new users and their devices begin with where nobody says otherwise, and how long passwords are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from rating_engine.domain.account import AccountChanges, AccountKind
from rating_engine.domain.change import LEAVE
from rating_engine.domain.checks import check_amount, check_currency, check_whole, check_zone
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.party import PASSWORD_MIN
from rating_engine.domain.sip_account import SipChanges

UNLIMITED: Final = "-1"
NAMES: Final = (
    "password_length", "credit", "balance", "postpaid", "allow_loss_calls", "call_limit", "time_zone", "currency",
    "device_call_limit", "device_direct_media", "device_force_rport", "device_qualify", "device_audio_codecs",
)  # fmt: skip
MOST_CONTACTS: Final = 10  # telephones that register by one number
LONGEST: Final = 30  # of a password that has to be so long at least


@dataclass(frozen=True, slots=True)
class Defaults:
    """By name, as text; what is not there is as the engine has it. Raises InvalidRequest naming the field."""

    values: Mapping[str, str]

    def __post_init__(self) -> None:
        if unknown := self.values.keys() - set(NAMES):
            raise InvalidRequest(min(unknown), "is no default that can be set")
        check_whole(self.password_length, "password_length", least=6, most=LONGEST)
        check_amount(self.balance, "balance")
        for name in ("postpaid", "allow_loss_calls", "device_direct_media", "device_force_rport"):
            if self.values.get(name, "0") not in ("0", "1"):
                raise InvalidRequest(name, "is 0 or 1")
        if self.currency:
            check_currency(self.currency)
        check_zone(self.values.get("time_zone", "UTC"))
        check_whole(self._whole("device_call_limit"), "device_call_limit")
        check_whole(self._whole("device_qualify"), "device_qualify")
        self.account()
        self.phone()

    @property
    def password_length(self) -> int:
        """The least that a new user's password has; never less than the engine asks of any."""
        return self._whole("password_length") or PASSWORD_MIN

    @property
    def balance(self) -> Decimal:
        """What a new user's account begins with, in its currency."""
        return self._amount("balance")

    @property
    def currency(self) -> str:
        """Of a new user's account; '': its tariff's."""
        return self.values.get("currency", "")

    def account(self) -> AccountChanges:
        """What a new user's account is set to. Raises InvalidRequest."""
        postpaid = self.values.get("postpaid")
        credit = self.values.get("credit")
        limit = self._whole("call_limit")
        if credit == UNLIMITED and postpaid != "1":
            raise InvalidRequest("credit", "only a postpaid account can have unlimited credit")
        return AccountChanges(
            kind=LEAVE if postpaid is None else AccountKind.POSTPAID if postpaid == "1" else AccountKind.PREPAID,
            overdraft=LEAVE if credit is None else None if credit == UNLIMITED else self._amount("credit"),
            max_calls=LEAVE if "call_limit" not in self.values else limit or None,
            time_zone=self.values.get("time_zone", LEAVE),
            allow_loss=LEAVE if "allow_loss_calls" not in self.values else self.values["allow_loss_calls"] == "1",
        )

    def phone(self) -> SipChanges:
        """What a new device is set to, by whomever it is made. Raises InvalidRequest."""
        options: dict[str, str] = {}
        for name, called in (("device_direct_media", "direct_media"), ("device_force_rport", "force_rport")):
            if name in self.values:
                options[called] = "yes" if self.values[name] == "1" else "no"
        if "device_qualify" in self.values:
            options["qualify_frequency"] = self.values["device_qualify"]
        limit = self._whole("device_call_limit")
        return SipChanges(
            endpoint_options=options or LEAVE,
            allow=self.values.get("device_audio_codecs") or LEAVE,
            max_contacts=LEAVE if not limit else min(limit, MOST_CONTACTS),
        )

    def _whole(self, name: str) -> int | None:
        text = self.values.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(10**6))):
            raise InvalidRequest(name, "must be a whole number")
        return int(text)

    def _amount(self, name: str) -> Decimal:
        try:
            amount = Decimal(self.values.get(name, "0"))
        except InvalidOperation:
            raise InvalidRequest(name, "must be an amount") from None
        check_amount(amount, name)
        return amount
