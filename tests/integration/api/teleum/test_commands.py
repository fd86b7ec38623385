"""What commands do, whom they refuse, and in which words; one installation for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rating_engine.api.teleum import errors, surface
from rating_engine.api.teleum.commands import COMMANDS
from rating_engine.domain.account import AccountChanges
from rating_engine.domain.call_rules import CALLED, TRANSIT, Action, Condition, InboundCall
from rating_engine.domain.did import RuleChanges
from rating_engine.domain.outcomes import Allowed, CallKey, FinishCall, PrepareCall
from rating_engine.domain.party import NewParty, PartyChanges, PartyKind, PartyState
from rating_engine.domain.recording import RecordingKind
from rating_engine.domain.subscription import NewService
from rating_engine.domain.tariff_offer import NewOffer
from rating_engine.services.parties.passwords import md5_of
from rating_engine.services.recordings import RecordingFiles, mail_recordings
from rating_engine.storage.laws import LAWS, breaches_of
from tests.support.servers import SessionServers
from tests.support.teleum import EMAIL, LINE, NUMBER, OTHER, PASSWORD, UTC_OFFSET, Teleum, teleum_on
from tests.support.world import publish_deck

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOUR = timedelta(hours=1)
ROLES = {"admin": PartyKind.ADMIN, "books": PartyKind.ACCOUNTANT, "firm": PartyKind.RESELLER}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def teleum(session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Teleum]:
    with session_servers.database() as url:
        async with teleum_on(url, tmp_path_factory.mktemp("recordings"), address_requests_per_minute=0) as teleum:
            for login, kind in ROLES.items():
                await teleum.operator.parties.create(NewParty(login, kind))
                await teleum.operator.parties.change(login, PartyChanges(), md5=md5_of(PASSWORD))
            yield teleum


async def post(teleum: Teleum, **given: Any) -> httpx.Response:
    return await teleum.http.post("/api/v3", data=given)


async def test_requests_are_read_as_the_document_has_them_and_refused_in_its_words(teleum: Teleum) -> None:
    session = await teleum.login()
    by_form = await post(teleum, cmd="balance", **session)
    assert by_form.json()["vivaid"] == session["vivaid"]
    assert by_form.headers["cache-control"] == "no-store"
    assert by_form.headers["referrer-policy"] == "no-referrer"
    wins = await teleum.http.post("/api/v3/?cmd=noSuch", data={"cmd": "balance", **session})
    assert "err" not in wins.json()
    for answer, status, words in (
        (await teleum.http.put("/api/v3/"), 405, errors.BAD_REQUEST),
        (await teleum.http.post("/api/v3/", json={"cmd": "balance"}), 400, errors.BAD_REQUEST),
        (await teleum.http.get("/api/v3/?cmd=%ff"), 400, errors.BAD_REQUEST),
        (await teleum.http.post("/api/v3/", data={"cmd": "x" * 20_000}), 400, errors.BAD_REQUEST),
        (await teleum.http.get("/api/v3/?cmd=balance"), 401, errors.SESSION_ENDED),
        (await post(teleum, cmd="balance", token=session["token"]), 200, "WRONG PARAMETER: vivaid"),
        (await post(teleum, cmd="balance", token=session["token"], vivaid="1"), 200, errors.ACCESS_DENIED),
        (await post(teleum, cmd="Balance", **session), 200, errors.UNKNOWN_COMMAND),
    ):
        assert (answer.status_code, answer.json()) == (status, {"err": 1, "errmsg": words})


async def test_who_logs_in_has_the_right_password_and_not_too_many_wrong_ones(teleum: Teleum) -> None:
    async def tried(email: str, password: str) -> str:
        answer = await post(teleum, cmd="login", email=email, paswd=password)
        return str(answer.json().get("errmsg", ""))

    use = teleum.operator
    await use.parties.create(NewParty("mary"))
    await use.parties.change("mary", PartyChanges(notify_email="mary@example.org"), md5=md5_of(PASSWORD))
    assert await tried("Mary@example.org", PASSWORD) == ""
    assert await tried("nobody@example.org", PASSWORD) == errors.WRONG_LOGIN
    for _ in range(surface.WRONG_LOGINS):
        assert await tried("mary", "wrong") == errors.WRONG_LOGIN
    assert await tried("mary", PASSWORD) == errors.TOO_MANY_ATTEMPTS
    session = await teleum.login("mary@example.org")
    await use.parties.set_status("mary", PartyState.LOCKED)
    assert await tried("mary@example.org", PASSWORD) == errors.ACCESS_DENIED
    ended = await post(teleum, cmd="balance", **session)
    assert ended.json()["err"] == 1


async def test_every_command_refuses_what_it_cannot_take_and_never_breaks(teleum: Teleum) -> None:
    """Each parameter missing, of another type, foreign, huge; a command that is asked so answers in words."""
    numbers, texts = ("", "-1", "9" * 19), ("", "a\0b", "x" * 5_000)
    for command in COMMANDS.values():
        if command.name == "login":
            continue
        full = {each.name: each.one_of[0] if each.one_of else "1" for each in command.parameters}
        full |= {name: "2025" for name in full if name == "y"}
        for parameter in command.parameters:
            for value in texts if parameter.kind == "string" else numbers:
                answer = await teleum.raw(
                    command.name, **{**full, "id": "77777", "tarid": "77777", parameter.name: value}
                )
                assert answer.status_code == 200, (command.name, parameter.name, value)
                body = answer.json()
                assert body.get("errmsg", "") != errors.INTERNAL, (command.name, parameter.name, value)
            if parameter.required:
                given = {name: text for name, text in full.items() if name != parameter.name}
                assert await teleum.error(command.name, **given) == f"WRONG PARAMETER: {parameter.name}"


@pytest.mark.parametrize("email", [EMAIL, *ROLES])
async def test_what_is_somebody_elses_is_not_found_whoever_asks(teleum: Teleum, email: str) -> None:
    theirs = next(did for did in await numbers_of(teleum, OTHER) if did["number"] == "78129999999")
    (rule,) = await teleum.operator.call_rules.list("78129999999")
    await teleum.keep("theirs", OTHER)
    forward = {"rtype": "1", "timeout": "20", "rcid": "1", "rnum": "20000"}
    for cmd, given in (
        ("getForwards", {"numberid": theirs["id"]}),
        ("getForwards", {"numberid": "20000"}),
        ("editForward", {"id": "0", "nid": theirs["id"], **forward}),
        ("editForward", {"id": "0", "nid": "20000", "vpbx": "1", **forward}),
        ("getForwardTimes", {"id": str(rule.rule_id)}),
        ("deleteForward", {"id": str(rule.rule_id)}),
        ("moveForward", {"id": str(rule.rule_id), "dir": "up"}),
        ("editForward", {"id": str(rule.rule_id), "timeout": "20"}),
        ("editSIP", {"id": "20000", "paswd": "verysecret2"}),
        ("deleteSIP", {"id": "20000"}),
        ("getRecordLink", {"fileid": "theirs"}),
    ):
        assert await teleum.error(cmd, who=email, **given) == errors.NOT_FOUND, (cmd, given)
    if email == EMAIL:
        assert await teleum.error("connectTariff", tarid="1", numid=theirs["id"]) == errors.NUMBER_NOT_FREE
        mine = {**forward, "rnum": LINE, "rcid": "3", "rcnid": theirs["id"]}
        for given in (forward, mine):
            assert await teleum.error("editForward", id="0", nid="1", **given) == errors.NOT_FOUND
        assert await teleum.error("editSIP", id=LINE, rcid=theirs["number"]) == errors.NOT_FOUND


async def numbers_of(teleum: Teleum, email: str) -> list[dict[str, str]]:
    return list((await teleum.ask("getConnectedNumbers", who=email))["numbers"])


async def test_forwards_are_rules_that_calls_go_by_and_leave_what_others_wrote(teleum: Teleum) -> None:
    use = teleum.operator
    theirs = {"pattern": "4930%", "condition": Condition.BUSY, "description": "of the operator"}
    (first,) = await use.call_rules.list(NUMBER)
    await use.call_rules.change(NUMBER, 1, RuleChanges(**theirs))
    schedule = '[{"ttsh":"22","ttsm":"30","ttfh":"5","ttfm":"59","dts":"6","dtf":"7"}]'
    await teleum.ask("editForward", id=str(first.rule_id), rec="1", moh="1", rcid="3", rcnid="1", dowjs2=schedule)
    (changed,) = await use.call_rules.list(NUMBER)
    assert {name: getattr(changed, name) for name in theirs} == theirs
    written = (changed.record, changed.music, changed.callerid, changed.timeout)
    assert written == (True, "default", NUMBER, first.timeout)
    shown = (await teleum.ask("getForwards", numberid=NUMBER))["forwards"][0]
    assert (shown["dowjs2"], shown["times"]) == (schedule, "Суббота-Воскресенье 22:30-05:59")
    assert (shown["rcid"], shown["rcnid"], shown["cname"], shown["rtname"]) == ("3", "1", "свой", "SIP")
    await use.call_rules.change(NUMBER, 1, RuleChanges(pattern="%", condition=Condition.ALWAYS, times=()))
    new = {"id": "0", "nid": "1"}
    made = await teleum.ask("editForward", **new, rtype="2", rnum="79010000001", timeout="5", rcid="2")
    second = made["id"]
    made = await teleum.ask("editForward", **new, rtype="3", rnum="a@example.org", timeout="30", rcid="1")
    third = made["id"]
    await teleum.ask("moveForward", id=third, dir="up")
    await teleum.ask("moveForward", id=third, dir="up")
    await teleum.ask("moveForward", id=third, dir="up")  # at the edge
    listed = (await teleum.ask("getForwards", numberid="1"))["forwards"]
    assert [each["direction"] for each in listed] == ["1", "2", "3"]
    assert [each["id"] for each in listed] == [third, str(first.rule_id), second]
    kinds = [(rule.action, rule.callerid) for rule in await use.call_rules.list(NUMBER)]
    assert kinds == [(Action.MESSAGE, TRANSIT), (Action.CALL, NUMBER), (Action.FORWARD, CALLED)]
    step = await teleum.engine.charging.next_inbound(InboundCall(NUMBER, 1, "49301"), CallKey("pbx1", "9.1"))
    assert (step.action, step.destination) == ("message", "a@example.org")
    assert step.record == f"pbx1_9.1_{third}"
    wrong = ({"dowjs2": "[{}]"}, {"dowjs2": "x" * 5_000}, {"rtype": "9"}, {"rec": "2"}, {"rnum": "no number"})
    for given in wrong:
        assert (await teleum.error("editForward", id=second, **given)).startswith("WRONG PARAMETER"), given
    # The hours are those of the account's clock where it has one, summer and winter.
    line = await use.accounts.line(EMAIL)
    assert line is not None
    await use.accounts.change(line.login, AccountChanges(time_zone="Asia/Tokyo"))
    await teleum.ask("editForward", id=second, dowjs2=schedule)
    assert (await use.call_rules.list(NUMBER))[2].time_zone == "Asia/Tokyo"
    await use.accounts.change(line.login, AccountChanges(time_zone="UTC"))
    for each in (second, third):
        await teleum.ask("deleteForward", id=each)
    assert await teleum.error("deleteForward", id=third) == errors.NOT_FOUND


async def test_a_line_has_forwards_of_its_own_and_english_has_words(teleum: Teleum) -> None:
    await teleum.operator.parties.change(EMAIL, PartyChanges(language="en"))
    made = await teleum.ask(
        "editForward", id="0", nid=LINE, vpbx="1", rtype="2", rnum="79010000001", timeout="9", rcid="1"
    )
    (shown,) = (await teleum.ask("getForwards", numberid=LINE))["forwards"]
    assert (shown["vpbx"], shown["rtname"], shown["times"]) == ("1", "Telephone", "Monday-Sunday 00:00-23:59")
    assert (await teleum.ask("getForwardTimes", id=made["id"]))["forwardTimes"][0]["finishDayOfWeekWord"] == "Sunday"
    assert (await teleum.ask("getTariffs", tg="1"))["tariffs"][0]["name"] == "number (en)"
    assert await teleum.error("editForward", id=made["id"], nid="1") == errors.NOT_FOUND  # it is not this forward's
    await teleum.ask("deleteForward", id=made["id"])
    await teleum.operator.parties.change(EMAIL, PartyChanges(language=""))


async def test_a_tariff_is_connected_with_its_number_once_and_paid_once(teleum: Teleum) -> None:
    use = teleum.operator
    before = Decimal((await teleum.ask("balance"))["balance"])
    free = (await teleum.ask("getFreeNumbers", limit="2", serie="7812323"))["freeNumbers"]
    assert free[0]["cost"] == "5.00"
    assert await teleum.error("connectTariff", tarid="1") == "WRONG PARAMETER: numid"
    assert await teleum.error("connectTariff", tarid="2", numid=free[0]["id"]) == "WRONG PARAMETER: numid"
    assert await teleum.error("connectTariff", tarid="77", numid=free[0]["id"]) == errors.NOT_FOUND
    for _ in range(2):  # asked again, it is answered as before
        assert (await teleum.ask("connectTariff", tarid="1", numid=free[0]["id"]))["numid"] == free[0]["id"]
        assert (
            Decimal((await teleum.ask("balance"))["balance"]) == before - 20
        )  # 2 + 3 of the number, 10 + 5 of the tariff
    (connected,) = (await teleum.ask("getConnectedTariffs"))["connected"]
    assert (connected["nid"], connected["cost"], connected["pcost"]) == (free[0]["id"], "5.00", "абонентка")
    taken = await teleum.engine.charging.prepare_inbound(PrepareCall(CallKey("pbx1", "8"), "", free[0]["number"], "1"))
    assert taken.reason == "source_rejected" if hasattr(taken, "reason") else taken.number == free[0]["number"]
    await use.accounts.adjust(LINE + "0", 20 - Decimal((await teleum.ask("balance"))["balance"]) - 1, reason="poor")
    entries = await teleum.database.fetchval("SELECT count(*) FROM ledger_entries")
    assert await teleum.error("connectTariff", tarid="1", numid=free[1]["id"]) == errors.NOT_ENOUGH_MONEY
    assert await teleum.database.fetchval("SELECT count(*) FROM ledger_entries") == entries
    assert (await teleum.ask("getFreeNumbers", limit="1"))["freeNumbers"][0]["id"] == free[1]["id"]
    assert [breach for law in LAWS for breach in await breaches_of(teleum.database, law)] == []


async def test_connecting_switches_the_tariff_of_calls_or_changes_nothing(teleum: Teleum) -> None:
    use, offers = teleum.operator, {}
    for tariff, price in (("vip", 0), ("dear", 1_000)):
        await publish_deck(teleum.database, tariff)
        await teleum.database.fetch("UPDATE tariffs SET switch_price = $2 WHERE name = $1", tariff, Decimal(price))
        service = await use.paid_services.add(NewService(tariff, price=Decimal("0.5"), is_public=True))
        offers[tariff] = await use.tariff_offers.add(
            NewOffer("Calls", service.service_id, tariff, tariff=tariff, has_number=tariff == "dear")
        )
    await use.accounts.adjust(LINE, Decimal(50), reason="rich enough for the number, and not for the switch")
    before, (free, *_) = (await teleum.ask("balance"))["balance"], (await teleum.ask("getFreeNumbers"))["freeNumbers"]
    refused = await teleum.error("connectTariff", tarid=str(offers["dear"]), numid=free["id"])
    assert refused in (errors.NOT_ENOUGH_MONEY, errors.REFUSED)
    assert (await teleum.ask("balance"))["balance"] == before
    assert (await teleum.ask("getFreeNumbers"))["freeNumbers"][0] == free
    assert str(offers["dear"]) not in {each["id"] for each in (await teleum.ask("getConnectedTariffs"))["connected"]}
    both = await asyncio.gather(*(teleum.raw("connectTariff", tarid=str(offers["vip"])) for _ in range(3)))
    assert [each.json()["numid"] for each in both] == ["0"] * 3
    assert Decimal((await teleum.ask("balance"))["balance"]) == Decimal(before) - Decimal("0.5")
    assert {line.tariff for line in await use.accounts.lines(EMAIL)} == {"vip"}
    assert [breach for law in LAWS for breach in await breaches_of(teleum.database, law)] == []


async def test_lines_are_made_changed_and_deleted_and_tell_no_password(teleum: Teleum) -> None:
    number = (await teleum.ask("getNextSIP"))["num"]
    made = await teleum.ask("editSIP", id="0", email="desk@example.org", descr="desk", rcid="1")
    assert (made["num"], made["id"]) == (number, number)
    line = await teleum.operator.sip_accounts.show(number)
    assert (line.callerid, line.label, line.owner) == (NUMBER, "desk", EMAIL)
    assert len(line.password or "") == 20
    await teleum.ask("editSIP", id=number, paswd="verysecret3", descr="")
    changed = await teleum.operator.sip_accounts.show(number)
    assert (changed.password, changed.label, changed.email) == ("verysecret3", "", "desk@example.org")
    answer = await teleum.raw("getSIPs")
    assert "verysecret" not in answer.text
    (shown,) = [each for each in answer.json()["sips"] if each["num"] == number]
    assert (shown["rcid"], shown["status"], shown["uagent"], shown["def"]) == (NUMBER, "offline", "", "0")
    assert sorted(each["def"] for each in answer.json()["sips"])[-2:] == ["0", "1"]
    assert await teleum.error("editSIP", id=number, email="no mail") == "WRONG PARAMETER: email"
    assert await teleum.error("editSIP", id=number, paswd="short") == "WRONG PARAMETER: paswd"
    assert await teleum.error("deleteSIP", id=number, who=OTHER) == errors.NOT_FOUND
    at_once = await asyncio.gather(*(teleum.ask("editSIP", id="0") for _ in range(4)))
    assert len({each["num"] for each in at_once}) == 4
    talking = PrepareCall(CallKey("pbx1", "5.5"), number, "4930123456")
    assert isinstance(await teleum.engine.charging.prepare_call(talking), Allowed)
    assert await teleum.error("deleteSIP", id=number) == errors.LINE_IN_CALL
    await teleum.engine.charging.finish_call(FinishCall(talking.call_key, number, "4930123456", 0, "CANCEL", 16))
    await teleum.ask("deleteSIP", id="20000", who=OTHER)
    for _ in range(2):  # whoever deletes its first line and makes one has the same number again
        assert (await teleum.ask("editSIP", id="0", who=OTHER))["num"] == "20000"
        await teleum.ask("deleteSIP", id="20000", who=OTHER)
    await teleum.ask("editSIP", id="0", who=OTHER)
    await teleum.ask("deleteSIP", id=number)
    assert await teleum.error("deleteSIP", id=number) == errors.NOT_FOUND


async def test_a_recording_is_reached_by_its_link_alone_in_ranges_and_for_a_while(teleum: Teleum) -> None:
    kept = await teleum.keep("kept")
    (listed,) = [each for each in await records(teleum) if each["id"] == "kept"]
    assert (listed["billsec"], listed["src"], listed["disposition"]) == ("00:02", NUMBER, "ANSWERED")
    link = (await teleum.ask("getRecordLink", fileid="kept"))["link"]
    assert "kept" not in link
    whole = await teleum.http.get(link)
    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, kept, "bytes")
    part = await teleum.http.get(link, headers={"range": "bytes=40-49"})
    assert (part.status_code, part.content) == (206, kept[40:50])
    said, _, signature = link.rpartition("/")[2].partition(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = signature[:-1] + letters[letters.index(signature[-1]) ^ 1]  # the same bytes in base64
    for token in (
        f"{said}.{signature[:-2]}aa", said, "x", ".", f"{said}x.{signature}", "%2e%2e%2fetc%2fpasswd", f"{said}.{twin}",
        f"{said}.{signature}.x",
    ):  # fmt: skip
        assert (await teleum.http.get(f"/recordings/{token}")).status_code == 404, token
    links = teleum.engine.services.recording_links
    for name in ("../kept", "/etc/passwd", "nobody"):
        token = await links.token_of(name, HOUR)
        assert await links.open(token) is None
    assert await links.open(await links.token_of("kept", -HOUR)) is None
    (teleum.recordings / "linked.wav").symlink_to("/etc/passwd")
    await teleum.keep("gone")
    (teleum.recordings / "gone.wav").unlink()
    assert await teleum.error("getRecordLink", fileid="gone") == errors.NOT_FOUND
    answer = (await teleum.raw("getRecordLink", fileid="gone")).json()
    assert (answer["error"], answer["errormsg"]) == ("1", errors.NOT_FOUND)


async def records(teleum: Teleum) -> list[dict[str, str]]:
    now = datetime.now(UTC) + timedelta(minutes=UTC_OFFSET)
    return list((await teleum.ask("getRecordsList", y=str(now.year), m=str(now.month)))["records"])


async def test_messages_are_mailed_once_with_a_link_that_works(teleum: Teleum) -> None:
    await teleum.keep("message", kind=RecordingKind.MESSAGE)
    files = RecordingFiles(str(teleum.recordings), 60, "https://billing.example.org/")

    def later() -> datetime:
        return datetime.now(UTC) + HOUR

    await teleum.database.fetch("UPDATE recordings SET mail_to = '' WHERE name <> 'message'")
    assert await mail_recordings(teleum.database, files, later) == 1
    assert await mail_recordings(teleum.database, files, later) == 0
    (mail,) = await teleum.database.fetch("SELECT recipient, body FROM mails")
    assert mail["recipient"] == "box@example.org"
    token = mail["body"].partition("https://billing.example.org/recordings/")[2].split()[0]
    assert (await teleum.http.get(f"/recordings/{token}")).status_code == 200


async def test_what_is_forwarded_says_where_to_and_hidden_calls_are_not_there(teleum: Teleum) -> None:
    at = datetime(2025, 3, 31, 21, 30, tzinfo=UTC)  # the first of April on the user's clock
    await teleum.call("forwarded", 3_661, "ANSWER", at, from_originate=NUMBER)
    assert (await teleum.ask("reportCalls", y="2025", m="3"))["counts"] == "0"
    (call,) = (await teleum.ask("reportCalls", y="2025", m="4"))["calls"]
    assert (call["dst"], call["rdr"]) == (NUMBER, "Переадресация на: 78123343232")
    assert (call["billsec"], call["calldatef"]) == ("1:01:01", "01.04.2025 00:30:00")
    await teleum.operator.parties.hide_logs(EMAIL)
    assert (await teleum.ask("reportCalls", y="2025", m="4"))["counts"] == "0"


async def test_who_asks_too_often_or_is_banned_hears_so(session_servers: SessionServers, tmp_path) -> None:
    with session_servers.database() as url:
        async with teleum_on(url, tmp_path, address_requests_per_minute=3) as teleum:
            answers = [await teleum.http.get("/api/v3/?cmd=balance") for _ in range(4)]
            assert [each.status_code for each in answers] == [401, 401, 401, 429]
            assert answers[-1].json() == {"err": 1, "errmsg": errors.TOO_MANY_REQUESTS}
            await teleum.database.close()
