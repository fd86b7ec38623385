"""The section User: users with their details, made, shown and changed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.money import in_system_currency
from rating_engine.api.mor.named import NO_USER, PRIMARY, account_of, plan_of, user_called, user_of
from rating_engine.api.mor.xml import Element, element, listed, page
from rating_engine.domain.account import AccountKind, ListedAccount
from rating_engine.domain.errors import NotFound, RatingEngineError
from rating_engine.domain.party import Level, Party, PartyKind
from rating_engine.domain.party_details import PartyDetailChanges, PartyDetails
from rating_engine.domain.registration import NewRegistration
from rating_engine.domain.sip_account import TECHNOLOGIES, NewSipAccount, SipAccount, SipChanges
from rating_engine.services.parties.passwords import md5_of

PASSWORD_BYTES: Final = 12
PIN_DIGITS: Final = 6
UNLIMITED: Final = "Unlimited"


async def user_details_get(asked: Asked) -> Element:
    """Of oneself, or of a user by its number or name."""
    number, name = asked.text("user_id").strip(), asked.text("username").strip()
    user = await user_of(asked) if number else await user_called(asked, name or asked.who)
    if number and name and user.login.lower() != name.lower():
        raise Failed(NO_USER)
    details = await asked.use.details.show(user.party_id)
    return page(
        element("pagename", "Personal_details"),
        element("language", user.language),
        element("userid", str(user.party_id)),
        element("details", await _main(asked, user), _other(user, details), _registration(details)),
    )


async def _main(asked: Asked, user: Party) -> Element:
    account = await _account(asked, user)
    if account is None:
        names = ("account", "balance", "balance_number", "balance_currency", "credit", "minimal_charge",
                 "minimal_charge_date")  # fmt: skip
        return listed("main_detail", ((name, "") for name in names))
    balance = await in_system_currency(asked, account.balance, account.currency, NO_USER)
    system = (await asked.use.currencies.converter()).system
    minimum = await asked.use.minimum_spends.show(user.party_id)
    return listed("main_detail", (
        ("account", "Postpaid" if account.kind is AccountKind.POSTPAID else "Prepaid"),
        ("balance", f"{stored(balance)} {system}"),
        ("balance_number", stored(balance)),
        ("balance_currency", system),
        ("credit", UNLIMITED if account.overdraft is None else stored(account.overdraft)),
        ("minimal_charge", "" if minimum is None else stored(minimum.amount)),
        ("minimal_charge_date", "" if minimum is None else minimum.since),
    ))  # fmt: skip


async def _account(asked: Asked, user: Party) -> ListedAccount | None:
    try:
        return await account_of(asked, user)
    except Failed:
        return None


def _other(user: Party, details: PartyDetails) -> Element:
    return listed("other_details", (
        ("username", user.login),
        ("first_name", details.first_name),
        ("surname", details.last_name),
        ("personalid", details.personal_id),
        ("agreement_number", details.agreement_number),
        ("agreement_date", details.agreement_date),
        ("taxation_country", details.taxation_country),
        ("vat_reg_number", details.tax_number),
        ("vat_percent", stored(sum((tax.percent for tax in user.taxes), Decimal(0))) if user.taxes else ""),
        *((f"tax{tax.position}_{name}", text) for tax in user.taxes
          for name, text in (("name", tax.name), ("value", stored(tax.percent)))),
    ))  # fmt: skip


def _registration(details: PartyDetails) -> Element:
    return listed("registration", (
        ("reg_address", details.address),
        ("reg_postcode", details.postcode),
        ("reg_city", details.city),
        ("reg_country", details.country),
        ("reg_state", details.state),
        ("reg_direction", details.county),
        ("reg_phone", details.phone),
        ("reg_mobile", details.mobile_phone),
        ("reg_fax", details.fax),
        ("reg_email", details.email),
    ))  # fmt: skip


async def user_register(asked: Asked) -> Element:
    """A new user with an account and a device, below the one that `id` names, as new users are by the defaults."""
    owner = await _owner(asked)
    for name in ("username", "password", "first_name", "last_name", "country_id", "email", "device_type"):
        asked.needed(name, ACCESS_DENIED)
    password = asked.text("password")
    defaults = await asked.use.defaults.show()
    if password != asked.text("password2") or len(password) < defaults.password_length:
        raise Failed(ACCESS_DENIED)
    phones = asked.use.sip_accounts
    line, secret, pin = await phones.available(), secrets.token_urlsafe(PASSWORD_BYTES), _new_pin()
    try:
        settings = SipChanges(
            disa_pin=pin,
            callerid=asked.text("caller_id").strip(),
            technology=_technology(asked),
            numbering_plan=await _plan(asked),
        )
        new = NewRegistration(
            login=asked.text("username").strip(),
            md5=md5_of(password),
            level=Level.USER,
            phone=NewSipAccount(login=line, password=secret, settings=settings),
            balance=defaults.balance,
            currency=defaults.currency,
            owner=owner.party_id,
            tariff=await _tariff(asked, owner),
            account_settings=defaults.account(),
            details=_details(asked),
            phone_settings=defaults.phone(),
            welcome=asked.text("email").strip(),
            route_plan=await plan_of(asked, asked.whole("lcr_id", ACCESS_DENIED) or PRIMARY, ACCESS_DENIED),
        )
        await asked.use.registrations.register(new)
        phone = await phones.show(line)
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed(ACCESS_DENIED, str(error)) from None
    return _registered(asked, phone, secret, pin)


def _registered(asked: Asked, phone: SipAccount, secret: str, pin: str) -> Element:
    settings = listed("user_device_settings", (
        ("email", asked.text("email").strip()),
        ("device_type", phone.technology),
        ("username", phone.login),
        ("password", secret),
        ("pin", pin),
        ("server_ip", phone.dns_name or phone.address),
        ("registration_notice", ""),
    ))  # fmt: skip
    return page(element("status", "Registration successful"), settings)


async def _owner(asked: Asked) -> Party:
    """Who will own the new user: by its number or name; an administrator's are the system's."""
    text = asked.needed("id", NO_USER)
    is_number = text.isascii() and text.isdigit()
    party = await user_of(asked, "id") if is_number else await user_called(asked, text)
    if party.kind.manages and party.owner_id is not None:
        return await asked.use.parties.show(party.owner_id)
    if not party.kind.may_own:
        raise Failed(NO_USER)
    return party


async def _tariff(asked: Asked, owner: Party) -> str | None:
    """What a user of the system gets, which has none: that of who asks."""
    return (await asked.use.parties.show(asked.who)).tariff if owner.kind is PartyKind.SYSTEM else None


def _technology(asked: Asked) -> str:
    kind = asked.text("device_type").strip().lower()
    found = next((each for each in TECHNOLOGIES if each.lower() == kind), None)
    if found is None:
        raise Failed(ACCESS_DENIED, "device_type: there is none such")
    return found


async def _plan(asked: Asked) -> str | None:
    number = asked.whole("device_location_id", ACCESS_DENIED)
    if not number:
        return None
    try:
        return await asked.use.numbering.numbered(number)
    except NotFound:
        raise Failed(ACCESS_DENIED) from None


def _new_pin() -> str:
    return f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}}"


def _details(asked: Asked) -> PartyDetailChanges:
    """Those of a new user. Raises InvalidRequest."""
    names = {
        "first_name": "first_name", "last_name": "last_name", "client_id": "client_id", "tax_number": "vat_number",
        "address": "address", "postcode": "postcode", "city": "city", "county": "county", "state": "state",
        "country": "country_id", "phone": "phone", "mobile_phone": "mob_phone", "fax": "fax", "email": "email",
    }  # fmt: skip
    values: dict[str, Any] = {name: asked.text(sent).strip() for name, sent in names.items()}
    return PartyDetailChanges(**values)


HANDLERS: Final[Mapping[str, Handler]] = {"user_details_get": user_details_get, "user_register": user_register}
