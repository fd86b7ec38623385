"""The section Conflines: the API's own settings, and what new users and devices begin with.

Law: who changes the secret shows the one before, in clear; off unless the operator's setting mor_conflines is on.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import ACCESS_DENIED, INCORRECT_HASH, Failed
from rating_engine.api.mor.xml import Element, done
from rating_engine.domain.defaults import Defaults
from rating_engine.domain.errors import InvalidRequest, Refused
from rating_engine.domain.hash_secret import SECRET_GOOD, HashSecretChanges, is_hash_secret
from rating_engine.domain.party import SYSTEM

DEFAULTS: Final[Mapping[str, str]] = {
    "default_user_password_length": "password_length",
    "default_user_credit": "credit",
    "default_user_balance": "balance",
    "default_user_postpaid": "postpaid",
    "default_user_allow_loss_calls": "allow_loss_calls",
    "default_user_call_limit": "call_limit",
    "default_user_time_zone": "time_zone",
    "default_user_currency": "currency",
    "default_device_call_limit": "device_call_limit",
    "default_device_canreinvite": "device_direct_media",
    "default_device_nat": "device_force_rport",
    "default_device_qualify": "device_qualify",
    "default_device_audio_codecs": "device_audio_codecs",
}
YES_NO: Final = {"yes": "1", "no": "0"}
NONE: Final = ("", "0", "no")


async def conflines_update(asked: Asked) -> Element:
    """What is sent, all of it or nothing: defaults first, then the secret, then the API itself."""
    secret = asked.text("secret_key")
    proof = hashlib.sha1((secret + secret).encode(), usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(proof, asked.text("hash").strip().lower()):
        raise Failed(INCORRECT_HASH)
    known = {"secret_key", "allow_api", "api_secret_key", *DEFAULTS}
    for parameter in asked.function.parameters:
        if parameter.name not in known and asked.text(parameter.name).strip().lower() not in NONE:
            raise Failed(ACCESS_DENIED)  # the engine has no such default
    new_secret = asked.text("api_secret_key") if asked.sent("api_secret_key") else None
    if new_secret is not None and (len(new_secret) < SECRET_GOOD or not is_hash_secret(new_secret)):
        raise Failed(ACCESS_DENIED)
    allow = asked.flag("allow_api", ACCESS_DENIED)
    given = {name: asked.text(sent).strip() for sent, name in DEFAULTS.items() if asked.sent(sent)}
    try:
        changed = {name: YES_NO.get(value.lower(), value) for name, value in given.items()}
        Defaults(changed if "credit" not in changed else {"postpaid": "1", **changed})
        if changed:
            await asked.use.defaults.set(changed)
        if new_secret is not None:
            await asked.use.hash_secrets.put(SYSTEM, new_secret)
        if allow is False:
            await asked.use.hash_secrets.change(SYSTEM, HashSecretChanges(enabled=False))
    except (InvalidRequest, Refused) as error:
        raise Failed(ACCESS_DENIED, str(error)) from None
    return done("Settings successfully updated")


HANDLERS: Final[Mapping[str, Handler]] = {"conflines_update": conflines_update}
