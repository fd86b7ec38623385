"""Every function that is made, asked by every role of what is somebody else's, and with whatever can be sent.

Law: what belongs to others is told as if it were not there, or is not allowed, and nothing of it has changed; no
request is answered by a fault of ours.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
import pytest_asyncio

from rating_engine.api.mor.declared import FUNCTIONS
from rating_engine.api.mor.functions import MADE
from rating_engine.domain.credit_note import NewCreditNote
from rating_engine.domain.did import NewDid
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.known_caller import NewKnownCaller
from rating_engine.domain.phonebook import PhonebookEntry
from rating_engine.domain.price_list import PriceListChanges
from rating_engine.domain.principal import principal_of
from rating_engine.domain.subscription import NewService, NewSubscription, ServiceKind
from tests.support.mor import Mor, mor_on
from tests.support.servers import SessionServers

FOREIGN: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("foreign.json").read_text("utf-8"))
# What names nobody's things: it is of who asks, of the whole installation, or for telephones that prove nothing.
NAMES_NOBODY = {
    "conflines_update", "quickforwards_dids_get", "reseller_group_create", "service_create", "services_get",
    "system_version_get", "tariff_retail_import", "user_login", "user_logout", "user_simple_balance_get",
    "user_balance_get_by_psw", "user_balance_get_by_username", "invoices_get", "dids_get", "sms_send",
}  # fmt: skip
STRANGERS = ("firm", "anna", "user1", "acc")  # who owns nothing of other's; the last may manage nothing
ODD = ("", "x", "-1", "9" * 40, "\x01\ufffe<é>%" * 40)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mor(session_servers: SessionServers) -> AsyncIterator[tuple[Mor, dict[str, str]]]:
    with session_servers.database() as url:
        async with mor_on(url, mor_telephone_balances=True, mor_conflines=True, ban_wrong_keys=0) as made:
            yield made, await belongings(made)


async def belongings(mor: Mor) -> dict[str, str]:
    """What otto and his firm have, by the words of foreign.json."""
    use = mor.operator
    await use.exchanges.add(NewExchange("pbx1", "192.0.2.10", "sip.example.com"))
    otto = await use.parties.show("otto")
    await use.known_callers.add("20001", NewKnownCaller("37061"))
    did = await use.dids.add(NewDid("37052", owner="otto"))
    other = mor.engine.services.of(principal_of(await use.parties.show("other"), "test"))
    service = await other.paid_services.add(NewService("secret rent", ServiceKind.ONE_TIME))
    taken = await use.subscriptions.subscribe(NewSubscription("otto", service.service_id, pay_now=False))
    note = await use.credit_notes.create(NewCreditNote(otto.party_id, Decimal(1)))
    entry = await use.phonebooks.add("otto", PhonebookEntry("x", "4930", "*1"))
    tariff = await other.price_lists.add(PriceListChanges(name="mine"))
    line = await use.sip_accounts.show("20001")
    return {
        "user": str(otto.party_id), "login": "otto", "device": str(line.line_id), "cli": "37061", "number": "37052",
        "did": str(did.did_id), "service": str(service.service_id), "subscription": str(taken.subscription_id),
        "note": str(note.credit_note_id), "entry": str(entry.entry_id), "tariff": str(tariff.tariff_id),
    }  # fmt: skip


async def test_every_made_function_is_tried_on_what_is_somebody_elses_or_names_nobody():
    assert {name for name in MADE if "card" not in name and not name.startswith("cc_")} - NAMES_NOBODY == FOREIGN.keys()


@pytest.mark.parametrize("function", sorted(FOREIGN))
async def test_nobody_gets_at_what_is_somebody_elses(mor, function):
    asked, named = mor
    given = {name: value.format(**named) for name, value in FOREIGN[function].items()}
    before = await state(asked)
    for u in STRANGERS if FUNCTIONS[function].permission is not None else STRANGERS[:-1]:
        answer = fromstring((await asked.raw(function, u=u, **given)).content)
        text = answer.findtext("status/error")
        assert text is not None, (u, answer.findtext("status/success"))
        assert text in FUNCTIONS[function].errors or text == "Access Denied", u
    assert await state(asked) == before


async def state(mor: Mor) -> list[tuple[object, ...]]:
    """What changes where something is done: money, and what is written down of who did it."""
    balances = await mor.database.fetch("SELECT account_id, balance FROM accounts ORDER BY 1")
    written = await mor.database.fetch("SELECT count(*) FROM audit_log")
    return [tuple(row) for row in (*balances, *written)]


@pytest.mark.parametrize("function", sorted(MADE))
async def test_whatever_is_sent_is_answered_in_xml(mor, function):
    asked, named = mor
    user = dict.fromkeys(("user_id", "users_id", "s_user_id"), named["user"])
    for odd in ODD:
        given = {each.name: odd for each in FUNCTIONS[function].parameters}
        own = {**given, **{name: value for name, value in user.items() if name in given}}
        for sent in (given, own) if own != given else (given,):
            if FUNCTIONS[function].in_path is not None:
                response = await asked.http.post(f"/billing/api/{function}/x", data=sent)
            else:
                response = await asked.raw(function, **sent)
            assert response.status_code == 200, (odd[:20], response.text)
            if function != "user_simple_balance_get":
                fromstring(response.content)
