"""Queries to an exchange as asteriskRequest has them: a short list, for whom it is, on an exchange that there is."""

from __future__ import annotations

from rating_engine.domain.exchanges import NewExchange
from tests.support.narayana import narayana_on
from tests.unit.agi.ami.fake_exchange import FakeExchange, message, success

RELOAD = {"destination": "sipreload", "process": "sipreload"}
REFUSED = [
    ("firm", {**RELOAD, "process": "core stop now"}, "E_ASTERISK_QUERY_ERROR"),
    ("firm", {**RELOAD, "params": "x\r\nAction: Command"}, "E_ASTERISK_QUERY_ERROR"),
    ("boss", {"destination": "command", "process": "database show"}, "E_ASTERISK_QUERY_ERROR"),
    ("firm", {"destination": "interface", "process": "version"}, "E_INSUFFICIENT_ACCESS"),
    ("firm", {"destination": "dialplan", "process": "reload"}, "E_INSUFFICIENT_ACCESS"),
    ("anna", RELOAD, "E_INSUFFICIENT_ACCESS"),
    ("firm", {"destination": "sipreload"}, "E_MISSING_ARGUMENT"),
    ("firm", {**RELOAD, "asterisk": "192.0.2.9"}, "E_SIP_SERVER_NOT_EXIST"),
    ("firm", {**RELOAD, "asterisk": "x" * 900}, "E_SIP_SERVER_NOT_EXIST"),
    ("firm", {**RELOAD, "asterisk": "other"}, "E_ASTERISK_QUERY_ERROR"),  # known, and without such an interface
]


def place_of(exchange: FakeExchange) -> str:
    """As the setting has it."""
    address = exchange.address
    return f"pbx9=ami://{address.username}:{address.secret}@{address.host}:{address.port}"


async def test_what_is_in_the_list_is_asked_of_the_exchange_and_nothing_else_is(database_url):
    async with FakeExchange() as exchange, narayana_on(database_url, ami_exchanges=(place_of(exchange),)) as narayana:
        await narayana.operator.exchanges.add(NewExchange("other", address="192.0.2.1"))
        exchange.answers |= {
            "Reload": success,
            "CoreSettings": lambda action: success(action, AMIversion="9.0.0", AsteriskVersion="22.5.1"),
        }
        for name in ("127.0.0.1", "pbx9"):
            assert await narayana.ask("asteriskRequest", login="firm", asterisk=name, **RELOAD) == "ok"
        (first, _) = exchange.asked("Reload")
        assert first["Module"] == "res_pjsip.so"
        for process, answer in (("ping", "Pong"), ("version", "22.5.1")):
            asked = {"asterisk": "pbx9", "destination": "interface", "process": process}
            assert await narayana.ask("asteriskRequest", login="boss", **asked) == answer

        for login, given, code in REFUSED:
            assert await narayana.code("asteriskRequest", login=login, **{"asterisk": "pbx9", **given}) == code, given
        assert (len(exchange.asked("Reload")), exchange.asked("Command")) == (2, [])

        exchange.answers["Reload"] = lambda action: message(
            Response="Error", ActionID=action["ActionID"], Message="Permission denied"
        )
        answer = (await narayana.raw("asteriskRequest", login="firm", asterisk="pbx9", **RELOAD)).json()
        assert answer["response"] == "E_ASTERISK_QUERY_ERROR"
        assert "Permission denied" in answer["description"]
