"""The Integrity Check names each offender of its eight checks once, with what to do; and nothing where none is."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from rating_engine.domain.account import AccountChanges, AccountKind
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.hash_secret import HashSecretChanges
from rating_engine.domain.known_caller import NewKnownCaller
from rating_engine.domain.party import NewParty
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.sip_account import NewSipAccount, SipChanges
from rating_engine.engine.services import make_services
from rating_engine.services.catalogue import UseCases
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database
from tests.support.world import publish_deck

KEY = base64.urlsafe_b64encode(os.urandom(32)).decode()
STRONG = "wN4tK1q9rV"


async def found(use: UseCases) -> dict[str, list[str]]:
    """What each check found; all eight were made, and each finding says what to do."""
    checks = [check async for check in use.integrity.check()]
    assert len(checks) == 8
    assert all(finding.mend or finding.hint for check in checks for finding in check.findings)
    return {check.name: [finding.what for finding in check.findings] for check in checks if check.findings}


async def test_what_works_and_is_likely_a_mistake(database_url: str, tmp_path: Path) -> None:
    door = Database(database_url)
    await door.open()
    settings = Settings(
        database_url=database_url, secret_keys=(KEY,), spool_dir=str(tmp_path), free_space_min_percent=0,
        mor_https_only=True,
    )  # fmt: skip
    use = make_services(settings, door).of(OPERATOR)
    name = (await publish_deck(door)).name
    await use.exchanges.add(NewExchange("pbx1"))
    lines = {"anna": "40000", "otto": "50000"}
    for login in lines:
        await use.parties.create(NewParty(login, tariff=name), password=f"{login}-{STRONG}")
        await use.sip_accounts.create(
            NewSipAccount(login=lines[login], owner=login, exchange="pbx1", password=STRONG, settings=SipChanges())
        )
    assert await found(use) == {}

    await use.hash_secrets.put("system")
    assert await found(use) == {}
    over_http = make_services(settings.model_copy(update={"mor_https_only": False}), door).of(OPERATOR)
    ((of_http,),) = (await found(over_http)).values()
    assert "over plain http" in of_http
    await use.hash_secrets.put("system", "secret")
    await use.parties.set_password("otto", password="Otto1234")
    await use.sip_accounts.change(lines["otto"], SipChanges(password="50000sip", trusted_cli="4915112345"))
    await use.accounts.change(lines["otto"], AccountChanges(kind=AccountKind.POSTPAID, allow_loss=True))
    await use.known_callers.add(lines["anna"], NewKnownCaller("4915199999"))
    await use.known_callers.add(lines["anna"], NewKnownCaller("4915188888", domain="pbx.example.org"))
    await use.defaults.set({"postpaid": "1", "allow_loss_calls": "1"})
    await door.fetch("UPDATE rates SET direction = ''")
    assert (await found(use))["destinations"] == [f"tariff {name}: 1 rates without a direction"]
    await door.fetch("UPDATE rates SET direction = 'Nowhere'")
    await door.fetch(
        "INSERT INTO mails (recipient, subject, body, state, error)"
        " VALUES ('a@example.org', 'a', 'b', 'failed', 'no such user')"
    )
    full = make_services(settings.model_copy(update={"free_space_min_percent": 100}), door).of(OPERATOR)
    said = await found(full)
    assert said.pop("destinations") == [f"tariff {name}: 1 rates of a direction that is not known, Nowhere"]
    (mails,) = said.pop("actions")
    assert mails.startswith("1 mails not sent since ")
    assert mails.endswith(": no such user")
    (space,) = said.pop("free space")
    assert space.startswith(f"ends of calls on disk ({tmp_path}): ")
    assert said == {
        "user passwords": ["user otto, of system", "secret of system: shorter than 16 characters"],
        "device passwords": ["device 50000, of otto"],
        "loss": [f"50000, of otto, by tariff {name}"],
        "default user": ["new users pay later and call at a loss"],
        "insecure devices": [
            "40000, of anna: whoever shows 4915199999 calls for it",
            "50000, of otto: its trusted number needs no PIN",
        ],
    }

    await use.parties.set_password("otto", password=STRONG)
    await use.hash_secrets.change("system", HashSecretChanges(enabled=False))
    assert "user passwords" not in await found(use)
    await door.close()
