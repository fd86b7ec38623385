"""agi.fastagi.scripts: the words of the dialplan to and from those of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from agi import channel_variables as var
from agi.fastagi.command import MAX_VARIABLES, render_mset
from agi.fastagi.fields import MAX_CALL_SECONDS
from agi.fastagi.request import AgiRequest
from agi.fastagi.scripts import (
    DECLINE_CODES,
    SCRIPTS,
    UNKNOWN_SCRIPT,
    find_script,
    parse_call_finish,
    parse_call_prepare,
    render_call_finish,
    render_call_prepare,
    render_get_balance,
)
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.number_lists import LIST_CAUSES
from rating_engine.domain.outcomes import (
    MAX_CALL_KEY_LENGTH,
    Allowed,
    Balance,
    CallKey,
    Declined,
    DeclineReason,
    FinishCall,
    NotSaved,
    Origin,
    PrepareCall,
    Saved,
    Spooled,
)

KEY = CallKey("pbx1", "1700000000.42", 1)


def request(
    *arguments: str, script: str = "callPrepare", query: Mapping[str, str] | None = None, **headers: str
) -> AgiRequest:
    return AgiRequest(
        arguments=arguments,
        script=script,
        query={"exchange": "pbx1"} if query is None else query,
        **{"uniqueid": "1700000000.42", **headers},
    )


# -- callPrepare ----------------------------------------------------------------------------------------------


def test_call_prepare_takes_every_field_from_its_arguments() -> None:
    asked = ("alice", "79010000001", "79020000002", "3", "79030000003", "carrier1")
    call = parse_call_prepare(request(*asked), "10.0.0.9")
    assert call == PrepareCall(
        CallKey("pbx1", "1700000000.42", 3),
        "alice",
        "79010000001",
        "79020000002",
        routing_number="79030000003",
        route="carrier1",
    )


def test_how_a_call_began_is_told_by_the_query() -> None:
    began = {"from_originate": "true", "source": "10.0.0.1", "originated_by": "user", "is_did": "49301"}
    told = {"exchange": "pbx1", **began}
    assert parse_call_prepare(request("a", "1", query=told), "x").origin == Origin("true", "10.0.0.1", "user")
    assert parse_call_finish(request("a", "1", "5", query=told), "x").is_did == "49301"
    assert parse_call_finish(request("a", "1", "5", query={"is_did": "x" * 81}), "x").is_did == ""
    with pytest.raises(InvalidRequest, match=r"^originated_by: "):
        parse_call_prepare(request("a", "1", query={"originated_by": "x" * 81}), "x")


@pytest.mark.parametrize("arguments", [(), ("",), (" ", " "), ("", "", "", "")])
def test_call_prepare_takes_what_is_not_given_from_the_channel(arguments: tuple[str, ...]) -> None:
    channel = request(*arguments, accountcode="bob", extension="123", callerid="100")
    assert parse_call_prepare(channel, "10.0.0.9") == PrepareCall(KEY, "bob", "123", "100")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("PJSIP/alice-00000001", "PJSIP/alice-00000001"),
        ("Local/123@rating-leg-00000000;2", "Local/123@rating-leg-00000000;2"),
        ("c" * 129, ""),
        ("PJSIP/\x1b", ""),
        ("", ""),
    ],
)
def test_both_scripts_carry_the_channel_and_no_name_of_one_is_refused(name: str, known: str) -> None:
    assert parse_call_prepare(request("a", "1", channel=name), "10.0.0.9").channel == known
    assert parse_call_finish(request("a", "1", "5", channel=name), "10.0.0.9").channel == known


@pytest.mark.parametrize("callerid", ["", None])
def test_a_caller_asterisk_does_not_know_is_none(callerid: str | None) -> None:
    channel = request("a", "1") if callerid is None else request("a", "1", callerid=callerid)
    assert parse_call_prepare(channel, "10.0.0.9").callerid is None


@pytest.mark.parametrize("query", [{}, {"exchange": ""}, {"other": "x"}])
def test_the_exchange_is_the_peers_address_unless_the_query_names_one(query: dict[str, str]) -> None:
    assert parse_call_prepare(request("a", "1", query=query), "10.0.0.9").call_key.exchange == "10.0.0.9"


@pytest.mark.parametrize(
    ("channel", "field"),
    [
        (request("", "1"), "login"),
        (request("x" * 65, "1"), "login"),
        (request("a\0", "1"), "login"),
        (request("a", ""), "destination"),
        (request("a", "", extension="s"), "destination"),
        (request("a", "", extension="h"), "destination"),
        (request("a", "", extension="i"), "destination"),
        (request("a", "", extension="t"), "destination"),
        (request("a", "1" * 81), "destination"),
        (request("a", "1\n2"), "destination"),
        (request("a", "1", "2" * 81), "callerid"),
        (request("a", "1", "2\x1b"), "callerid"),
        (request("a", "1", "", "0"), "prior"),
        (request("a", "1", "", "100"), "prior"),
        (request("a", "1", "", "-1"), "prior"),
        (request("a", "1", "", "1.5"), "prior"),
        (request("a", "1", "", "٣"), "prior"),
        (request("a", "1", "", "1", "5" * 81), "routing_number"),
        (request("a", "1", "", "1", "5", "two words"), "route"),
        (request("a", "1", "", "1", "5", "a;b"), "route"),
        (request("a", "1", "", "1", "5", "c" * 65), "route"),
        (request("a", "1", "", "1", "5", "6", "7"), "arguments"),
        (request("a", "1", query={"exchange": "x" * 65}), "exchange"),
        (request("a", "1", query={"exchange": "a/b"}), "exchange"),
        (request("a", "1", query={"exchange": "a\0"}), "exchange"),
        (request("a", "1", uniqueid=""), "agi_uniqueid"),
        (request("a", "1", uniqueid="\x7f"), "agi_uniqueid"),
        (request("a", "1", uniqueid="u" * (MAX_CALL_KEY_LENGTH - len("pbx1//1") + 1)), "agi_uniqueid"),
        (request("a", "1", uniqueid="u" * 1000), "agi_uniqueid"),
    ],
)
def test_a_bad_field_of_call_prepare_is_named(channel: AgiRequest, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_call_prepare(channel, "10.0.0.9")
    assert refused.value.field == field


def test_a_call_key_may_fill_its_column() -> None:
    call = parse_call_prepare(request("a", "1", uniqueid="u" * (MAX_CALL_KEY_LENGTH - len("pbx1//1"))), "x")
    assert len(str(call.call_key)) == MAX_CALL_KEY_LENGTH


ALLOWED = Allowed(
    call_key=KEY,
    max_seconds=99999,
    destination="79010000001",
    callerid="79020000002",
    direction="RussiaMobile-Tele2",
    route_prefix="outline/",
    route_name="route1-cli",
    reserved=Decimal("1.5"),
    currency="EUR",
)


def test_an_allowed_call_sets_every_variable_of_call_prepare() -> None:
    assert render_call_prepare(ALLOWED) == {
        "RATING_STATUS": "ALLOWED",
        "RATING_REASON": "",
        "RATING_MAX_SECONDS": "99999",
        "RATING_MAX_MS": "99999000",
        "RATING_QUOTA": "",
        "RATING_LOW_BALANCE": "",
        "RATING_DESTINATION": "79010000001",
        "RATING_CALLERID": "79020000002",
        "RATING_DIRECTION": "RussiaMobile-Tele2",
        "RATING_ROUTE_PREFIX": "outline/",
        "RATING_ROUTE_NAME": "route1-cli",
        "RATING_CALL_ID": "pbx1/1700000000.42/1",
        "RATING_RESULT": "Allowed 99999 79010000001 79020000002 RussiaMobile-Tele2 outline/ route1-cli -1 -1",
    }


def test_the_result_line_keeps_its_count_of_words_whatever_the_names() -> None:
    odd = Allowed(KEY, 1, "7901", "", "Russia Mobile [new", "", 'r"1,\n$', Decimal(0), "EUR")
    assert render_call_prepare(odd)[var.RATING_RESULT] == "Allowed 1 7901 - Russia_Mobile__new - r_1___ -1 -1"


@pytest.mark.parametrize("reason", DeclineReason)
def test_a_declined_call_sets_every_variable_and_no_seconds(reason: DeclineReason) -> None:
    variables = render_call_prepare(Declined(reason, "detail stays in the log"))
    assert variables == {
        **dict.fromkeys(var.CALL_PREPARE_VARIABLES, ""),
        "RATING_STATUS": "DECLINED",
        "RATING_REASON": reason.value,
        "RATING_MAX_SECONDS": "0",
        "RATING_MAX_MS": "0",
        "RATING_RESULT": f"Declined {DECLINE_CODES[reason]}",
        **({"RATING_CAUSE": str(LIST_CAUSES[reason])} if reason in LIST_CAUSES else {}),
    }


# -- callFinish -----------------------------------------------------------------------------------------------


def test_call_finish_takes_every_field_from_its_arguments() -> None:
    call = parse_call_finish(request("alice", "7901", "61", "16ANSWER", "7902", "2"), "10.0.0.9")
    assert call == FinishCall(CallKey("pbx1", "1700000000.42", 2), "alice", "7901", 61, "ANSWER", 16, "7902")


def test_call_finish_takes_what_is_not_given_from_the_channel() -> None:
    call = parse_call_finish(request(accountcode="bob", extension="123", callerid="100"), "10.0.0.9")
    assert call == FinishCall(KEY, "bob", "123", 0, "", 0, "100")


@pytest.mark.parametrize(
    ("status", "cause", "disposition"),
    [
        ("16ANSWER", 16, "ANSWER"),
        ("0CANCEL", 0, "CANCEL"),
        ("ANSWER", 0, "ANSWER"),
        ("487", 487, ""),
        ("", 0, ""),
        ("17BUSY", 17, "BUSY"),
        ("34chan_un-avail", 34, "chan_un-avail"),
    ],
)
def test_a_status_is_a_cause_and_a_disposition(status: str, cause: int, disposition: str) -> None:
    call = parse_call_finish(request("a", "1", "0", status), "x")
    assert (call.cause, call.disposition) == (cause, disposition)


@pytest.mark.parametrize("status", ["1234ANSWER", "16ANSWER1", "16 ANSWER", "A,B", "١٦ANSWER", "-1", "A" * 33, "1Ä"])
def test_a_malformed_status_never_keeps_a_call_from_being_charged(status: str) -> None:
    call = parse_call_finish(request("a", "1", "7", status), "x")
    assert (call.seconds, call.cause) == (7, 0)
    assert len(call.disposition) <= 32
    assert call.disposition.replace("-", "").isalpha() or call.disposition in ("", "-")


def test_a_malformed_caller_id_never_keeps_a_call_from_being_charged() -> None:
    call = parse_call_finish(request("a", "1", "7", "16ANSWER", "x" * 200), "x")
    assert (call.seconds, call.callerid) == (7, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("0.0", 0),
        ("007", 7),
        ("3.2", 4),
        ("3.000", 3),
        ("3.000000001", 4),
        (str(MAX_CALL_SECONDS), MAX_CALL_SECONDS),
        (f"{MAX_CALL_SECONDS - 1}.5", MAX_CALL_SECONDS),
    ],
)
def test_seconds_are_whole_and_a_begun_one_counts(text: str, seconds: int) -> None:
    assert parse_call_finish(request("a", "1", text, "ANSWER"), "x").seconds == seconds


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "+1",
        "1e3",
        "abc",
        "1.",
        ".5",
        "1,5",
        "٣",
        "nan",
        "1" * 10,
        str(MAX_CALL_SECONDS + 1),
        f"{MAX_CALL_SECONDS}.1",
    ],
)
def test_other_seconds_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^seconds: "):
        parse_call_finish(request("a", "1", text, "ANSWER"), "x")


def test_a_comma_in_the_dialled_number_can_not_shift_the_seconds_of_a_full_call_finish() -> None:
    dialled = ["79010000001", "0"]  # as AGI(...,${EXTEN},...) hands over the extension 79010000001,0
    with pytest.raises(InvalidRequest, match=r"^arguments: "):
        parse_call_finish(request("a", *dialled, "3600", "16ANSWER", "7902", "1"), "x")


SAVED = Saved(
    call_key=KEY,
    cost=Decimal("0.125000"),
    currency="EUR",
    billed_seconds=60,
    seconds=3,
    direction="RussiaMobile-Tele2",
    destination="79020000002",
    callerid="79010000001",
    route_name="route1-cli",
    disposition="ANSWER",
    cause=16,
)


def test_a_saved_call_sets_every_variable_of_call_finish() -> None:
    assert render_call_finish(SAVED) == {
        "RATING_STATUS": "SAVED",
        "RATING_REASON": "",
        "RATING_COST": "0.125000",
        "RATING_CURRENCY": "EUR",
        "RATING_BILLED_SECONDS": "60",
        "RATING_RESULT": (
            "Saved RussiaMobile-Tele2 [79010000001/79020000002] via [route1-cli] 3 0.125000 EUR 16ANSWER"
        ),
    }


SPOOLED = Spooled(
    call_key=KEY,
    seconds=3,
    destination="79020000002",
    callerid="79010000001",
    disposition="ANSWER",
    cause=16,
    cost=Decimal("0.125000"),
    currency="EUR",
    billed_seconds=60,
    direction="RussiaMobile-Tele2",
    route_name="route1-cli",
)


def test_a_spooled_call_whose_rate_is_known_says_what_it_will_cost() -> None:
    assert render_call_finish(SPOOLED) == {**render_call_finish(SAVED), "RATING_REASON": "spooled"}


def test_a_spooled_call_whose_rate_is_not_known_is_saved_without_a_cost() -> None:
    unknown = Spooled(KEY, 3, "79020000002", "79010000001", "ANSWER", 16)
    assert render_call_finish(unknown) == {
        "RATING_STATUS": "SAVED",
        "RATING_REASON": "spooled",
        "RATING_COST": "",
        "RATING_CURRENCY": "",
        "RATING_BILLED_SECONDS": "",
        "RATING_RESULT": "Saved - [79010000001/79020000002] via [-] 3 - - 16ANSWER",
    }


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0"), ("-0.00", "0.00"), ("1E+2", "100"), ("1E-7", "0.0000001"), ("-3.50", "-3.50"), ("0E-6", "0.000000")],
)
def test_amounts_are_exact_and_in_plain_notation(amount: str, text: str) -> None:
    balance = Balance("a", "EUR", Decimal(amount), Decimal(0), Decimal(0), Decimal(amount))
    variables = render_get_balance(balance)
    assert (variables[var.RATING_BALANCE], variables[var.RATING_AVAILABLE]) == (text, text)


@pytest.mark.parametrize("reason", DeclineReason)
def test_a_finish_that_was_not_taken_sets_every_variable(reason: DeclineReason) -> None:
    assert render_call_finish(NotSaved(reason)) == {
        **dict.fromkeys(var.CALL_FINISH_VARIABLES, ""),
        "RATING_STATUS": "FAILED",
        "RATING_REASON": reason.value,
        "RATING_RESULT": f"Failed {DECLINE_CODES[reason]}",
    }


# -- getBalance, ping and the table ----------------------------------------------------------------------------


def test_unlimited_credit_is_said_in_a_word() -> None:
    variables = render_get_balance(Balance("a", "EUR", Decimal("-5.10"), Decimal(0), None, None))
    assert variables == {
        "RATING_STATUS": "OK",
        "RATING_REASON": "",
        "RATING_BALANCE": "-5.10",
        "RATING_AVAILABLE": "unlimited",
        "RATING_CURRENCY": "EUR",
        "RATING_MAX_SECONDS": "",
        "RATING_RESULT": "OK -5.10 unlimited EUR",
    }


def test_a_declined_balance_sets_every_variable() -> None:
    assert render_get_balance(Declined(DeclineReason.UNKNOWN_LOGIN)) == {
        **dict.fromkeys(var.GET_BALANCE_VARIABLES, ""),
        "RATING_STATUS": "DECLINED",
        "RATING_REASON": "unknown_login",
        "RATING_RESULT": "Declined 403",
    }


def test_every_reason_has_one_code_of_three_digits() -> None:
    assert set(DECLINE_CODES) == set(DeclineReason)
    assert all(400 <= code <= 599 for code in DECLINE_CODES.values())


@pytest.mark.parametrize("name", [*SCRIPTS, "unheard of"])
@pytest.mark.parametrize("reason", DeclineReason)
def test_every_script_can_refuse_for_every_reason_and_never_says_yes(name: str, reason: DeclineReason) -> None:
    variables = find_script(name).refuse(reason)
    assert variables[var.RATING_STATUS] in ("DECLINED", "FAILED")
    assert variables[var.RATING_REASON] == reason.value
    assert render_mset(variables)


def test_the_variables_of_a_script_fit_one_mset() -> None:
    for names in (var.CALL_PREPARE_VARIABLES, var.CALL_FINISH_VARIABLES, var.GET_BALANCE_VARIABLES):
        assert len(set(names)) == len(names) <= MAX_VARIABLES


def test_a_mistyped_script_declines_the_call() -> None:
    script = find_script("callprepare")
    assert script is UNKNOWN_SCRIPT
    assert script.refuse(DeclineReason.BAD_REQUEST) == render_call_prepare(Declined(DeclineReason.BAD_REQUEST))
