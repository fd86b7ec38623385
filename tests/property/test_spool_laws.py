"""Laws of the spool's format: what was written whole reads back whole, whatever happened to the bytes around it."""

from __future__ import annotations

import itertools
import string
from datetime import UTC

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rating_engine.domain.outcomes import CallKey, FinishCall
from rating_engine.domain.reservation import CallDetails
from rating_engine.storage.spool.finish_record import (
    SpooledFinish,
    UnreadableRecord,
    finish_from_payload,
    finish_to_payload,
)
from rating_engine.storage.spool.spool_records import encode_record, scan

payloads = st.lists(st.binary(min_size=1, max_size=40).map(lambda raw: raw.replace(b"\n", b"-")), max_size=8)
texts = st.text(max_size=30) | st.text(st.characters(codec=None), max_size=10)  # lone surrogates too
whole = st.integers(0, 2**31)
times = st.datetimes(timezones=st.just(UTC))
details = st.builds(
    CallDetails,
    **dict.fromkeys(("subscriber_id", "attempt", "tariff_id", "deck_id"), whole),
    **dict.fromkeys(("exchange", "callerid", "destination", "direction", "prefix", "rate", "route_name"), texts),
)
finishes = st.builds(
    SpooledFinish,
    call=st.builds(
        FinishCall,
        call_key=st.builds(CallKey, texts, texts, whole),
        login=texts,
        destination=texts,
        seconds=whole,
        disposition=texts,
        cause=whole,
        callerid=st.none() | texts,
        ended_at=times,
    ),
    details=st.none() | details,
)


def read(data: bytes, start: int = 0) -> list[bytes]:
    return [record.payload for record in scan(data, start).records]


@given(payloads)
def test_what_was_written_reads_back_in_order(written):
    found = scan(b"".join(map(encode_record, written)))

    assert [record.payload for record in found.records] == written
    assert found.damaged == []


@given(payloads)
@example([b"a", b"bc" * 20, b"00000001 e8b7be43 a"])
def test_a_file_cut_at_any_byte_keeps_every_record_that_was_whole(written):
    lines = [encode_record(payload) for payload in written]
    data = b"".join(lines)
    for cut in range(len(data) + 1):
        found = scan(data[:cut])
        end = 0
        expected = []
        for payload, line in zip(written, lines, strict=True):
            end += len(line)
            if cut >= end - 1:  # its line break alone may be missing
                expected.append(payload)
        assert [record.payload for record in found.records] == expected
        assert found.damaged == []
        assert found.torn <= cut


@given(payloads.filter(bool), st.data())
def test_one_damaged_byte_costs_at_most_the_record_it_belongs_to(written, data):
    file = bytearray(b"".join(map(encode_record, written)))
    position = data.draw(st.integers(0, len(file) - 1))
    file[position] ^= data.draw(st.integers(1, 255))

    ends = 0
    hit = next(index for index, payload in enumerate(written) if position < (ends := ends + len(payload) + 19))
    assert read(bytes(file)) in (written, written[:hit] + written[hit + 1 :])


@given(payloads, st.binary(max_size=60), payloads)
def test_rubbish_that_ends_with_a_line_break_costs_no_record_around_it(before, rubbish, after):
    data = b"".join(map(encode_record, before)) + rubbish + b"\n" + b"".join(map(encode_record, after))

    found = read(data)
    assert found[: len(before)] == before
    assert found[len(found) - len(after) :] == after


@given(st.binary(max_size=300))
def test_any_bytes_are_accounted_for(data):
    found = scan(data)
    spans = sorted([(record.start, record.end) for record in found.records] + found.damaged)

    assert all(left[1] == right[0] for left, right in itertools.pairwise(spans))
    assert ([*spans, (found.torn, found.torn)])[0][0] == 0
    assert ([(0, 0), *spans])[-1][1] == found.torn


@given(payloads.filter(bool))
def test_reading_may_go_on_at_the_end_of_any_record(written):
    data = b"".join(map(encode_record, written))
    for number, record in enumerate(scan(data).records, 1):
        assert read(data, record.end) == written[number:]


@given(finishes)
def test_a_finish_reads_back_as_it_was_said(finish):
    assert finish_from_payload(finish_to_payload(finish)) == finish


@given(finishes)
def test_notes_for_people_are_not_read_back(finish):
    assert finish_from_payload(finish_to_payload(finish, refused="conflict")) == finish


@given(finishes)
def test_a_finish_is_one_record_that_people_can_read(finish):
    payload = finish_to_payload(finish)

    assert read(encode_record(payload)) == [payload]
    assert set(payload.decode()) <= set(string.printable) - set("\n\r\t\x0b\x0c")


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@example(b"{}")
@example(b"[]")
@example(b'{"v":2}')
@example(b"[" * 100_000)
def test_what_is_no_finish_is_said_to_be_unreadable(payload):
    with pytest.raises(UnreadableRecord):
        finish_from_payload(payload)


@given(finishes, st.data())
def test_a_finish_with_a_field_of_another_kind_is_unreadable(finish, data):
    payload = finish_to_payload(finish).decode()
    name = data.draw(st.sampled_from(["uniqueid", "login", "seconds", "cause", "ended_at", "attempt"]))

    with pytest.raises(UnreadableRecord):
        finish_from_payload(payload.replace(f'"{name}":', f'"{name}":[],"_":', 1).encode())
