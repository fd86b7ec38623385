"""No test waits by the clock: what happens by itself is waited for as a state, by tests/support/waiting.

A sleep that is no wait for the software under test has a place here, with its reason.
"""

from __future__ import annotations

import ast

from tests.architecture.source_tree import PROJECT, python_files

PLACES = {
    "tests/support/waiting.py": "the one place that asks again and again",
    "tests/support/tcp_proxy.py": "a network that is slow",
    "tests/faults/load.py": "callers that talk, and do not hurry",
    "tests/faults/striking.py": "a fault comes, and lasts, by chance",
    "tests/faults/test_kill_engine.py": "a fault comes somewhere within a request",
    "tests/faults/test_kill_postgresql.py": "a fault comes somewhere within a request",
    "tests/faults/test_network.py": "a fault comes, and lasts, by chance",
    "tests/faults/test_takeover.py": "a client that asks steadily",
    "tests/integration/facts/test_hostile_redis.py": "a server that is slow, or that answers for ever",
    "tests/integration/fastagi/test_answers.py": "a deadline passes that must not be anybody's",
    "tests/integration/fastagi/test_hostile_clients.py": "a client that sends byte after byte",
    "tests/integration/support/test_gsm.py": "a gateway that answers byte after byte",
    "tests/unit/telemetry/test_loop_lag.py": "to block the loop is the point",
    "tests/asterisk/build.py": "a lock that another process holds",
    "tests/asterisk/engine.py": "asks a process that starts again and again",
    "tests/asterisk/exchange.py": "asks Asterisk again and again",
    "tests/asterisk/pbx.py": "asks again and again, for as long as a conversation takes",
    "tests/asterisk/phone.py": "people talk for so long",
    "tests/asterisk/sound.py": "sound goes out every 20 ms, and a key is pressed for so long",
    "tests/asterisk/test_quota.py": "people talk for so long",
}


def sleeps(tree: ast.AST) -> list[int]:
    """The lines that call asyncio.sleep or time.sleep, but for turns of the loop (sleep(0))."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("asyncio.sleep", "time.sleep")
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]


def places() -> dict[str, list[int]]:
    """Every file of the tests that sleeps, and where."""
    found = {str(file.relative_to(PROJECT)): sleeps(ast.parse(file.read_text())) for file in python_files("tests")}
    return {name: lines for name, lines in found.items() if lines}


def test_no_test_sleeps_but_where_there_is_a_reason() -> None:
    assert {name: lines for name, lines in places().items() if name not in PLACES} == {}


def test_the_places_that_may_sleep_do() -> None:
    assert sorted(PLACES.keys() - places().keys()) == []
