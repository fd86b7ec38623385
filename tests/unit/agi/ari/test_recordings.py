"""What a real Asterisk told of calls (tests/asterisk/recordings, made by tests/asterisk/ari_record.py), told again."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest

from agi.ari.call import Admitted, CallRules
from agi.ari.commands import Finish
from agi.ari.events import read
from agi.ari.exchange_book import ExchangeBook
from rating_engine.domain.outcomes import CallKey

RECORDINGS = Path(__file__).parents[3] / "asterisk" / "recordings"
ENDS = {
    "caller-hangs-up": [("ANSWER", 1)],
    "called-party-hangs-up": [("ANSWER", 1)],
    "cancelled": [("CANCEL", 0)],
    "second-route": [("CONGESTION", 0), ("ANSWER", 1)],
    "busy": [("BUSY", 0)],
    "early-media": [("ANSWER", 1)],
}


def told(lines: list[str]) -> list[Finish]:
    """The ends that come of a stream."""
    book = ExchangeBook("pbx1", CallRules())
    found = []
    for line in map(json.loads, lines):
        if line["type"] == "Admitted":
            key = CallKey("pbx1", line["uniqueid"], line["attempt"])
            admitted = Admitted(key, line["seconds"], line["destination"], "4930111", "", line["route"])
            orders = book.tell(key.uniqueid, admitted)
        else:
            event = read(line)
            orders = [] if event is None else book.hear(event)
        found += [order.command for order in orders if isinstance(order.command, Finish)]
    assert book.calls == {}
    return found


@pytest.mark.parametrize("name", ENDS)
def test_a_recorded_call_ends_as_it_did_and_nothing_of_it_is_left(name: str) -> None:
    lines = (RECORDINGS / f"{name}.jsonl").read_text().splitlines()
    ends = told(lines)
    assert [(end.word, end.seconds) for end in ends] == ENDS[name]
    doubled = [line for line in lines for _ in range(2)]
    assert [(end.word, end.seconds) for end in told(doubled)] == ENDS[name]


@pytest.mark.parametrize("name", ENDS)
def test_its_last_words_may_come_in_any_order(name: str) -> None:
    lines = (RECORDINGS / f"{name}.jsonl").read_text().splitlines()
    head, tail = lines[:-4], lines[-4:]
    for order in permutations(tail):
        ends = told([*head, *order])
        assert [end.word for end in ends] == [word for word, _ in ENDS[name]]
