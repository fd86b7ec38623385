"""What a row of Asterisk's own call records says, in the forms in which Asterisk writes them."""

from __future__ import annotations

import pytest

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.reported_end import PostOutcome
from rating_engine.services.cdrs.asterisk_cdr import CdrColumns

CSV = (
    '"1001","100","4930123","rating-attempts","""Eve"" <100>","PJSIP/1001-0000001a","PJSIP/my-trunk-0000001b","Dial",'
    '"PJSIP/4930123@my-trunk,60,i","2026-11-30 01:45:00","2026-11-30 01:45:10","2026-11-30 01:46:30",90,80,"ANSWERED",'
    '"DOCUMENTATION","1764467100.26",""'
)
CUSTOM = (
    '"""Eve"" <100>","100","4930123","rating-attempts","PJSIP/1001-0000001a","PJSIP/my-trunk-0000001b","Dial",'
    '"PJSIP/4930123@my-trunk","2026-11-30 01:45:00","2026-11-30 01:45:10","2026-11-30 01:46:30","90","80","ANSWERED",'
    '"DOCUMENTATION","1001","1764467100.26","",5'
)


@pytest.mark.parametrize("row", [CSV, CUSTOM], ids=["cdr_csv", "cdr_custom"])
def test_both_forms_are_told_apart_and_read(row):
    end = CdrColumns.found(row).read(3, row)

    assert (end.line, end.uniqueid, end.seconds, end.disposition) == (3, "1764467100.26", 80, "ANSWER")
    assert (end.moment, end.destination, end.route) == ("2026-11-30 01:46:30", "4930123", "my-trunk")
    assert end.is_cdr


def test_a_header_or_names_that_are_given_say_where_the_columns_are():
    header = "uniqueid,end,billsec,disposition"
    for columns in (CdrColumns.found(header), CdrColumns.named(header.split(","))):
        assert columns.read(2, "1.1,2026-11-30 01:46:30,5,BUSY").seconds == 0
    assert CdrColumns.found(header).read(1, header) is None
    with pytest.raises(InvalidRequest, match="columns: have no end and no billsec"):
        CdrColumns.named(["uniqueid", "disposition"])


@pytest.mark.parametrize(
    ("channel", "route"),
    [
        ("PJSIP/my-trunk-0000001b", "my-trunk"), ("Local/4930123@my-trunk-0000001b;1", "my-trunk"),
        ("IAX2/far-8", "far"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_trunk_is_that_of_the_channel_that_was_dialled(channel, route):
    assert CdrColumns.found(CSV).read(1, CSV.replace("PJSIP/my-trunk-0000001b", channel)).route == route


@pytest.mark.parametrize(
    ("billsec", "disposition", "seconds"),
    [("0", "ANSWERED", 1), ("12.9", "ANSWERED", 12), ("7", "NO ANSWER", 0), ("0", "BUSY", 0), ("0", "FAILED", 0)],
)
def test_what_was_answered_is_a_second_at_least_and_what_was_not_is_none(billsec, disposition, seconds):
    row = CSV.replace(",80,", f",{billsec},").replace("ANSWERED", disposition)
    assert CdrColumns.found(CSV).read(1, row).seconds == seconds


def test_records_without_a_uniqueid_are_refused_by_how_to_have_one():
    with pytest.raises(InvalidRequest, match="loguniqueid=yes"):
        CdrColumns.found(CSV.rpartition(',"1764')[0])
    assert CdrColumns.found("[Nov 30 01:46:30] NOTICE[1] x: y") is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (CSV.replace("ANSWERED", "PERHAPS"), "'PERHAPS' is none of ANSWERED"),
        (CSV.replace(",80,", ",x,"), "billsec 'x'"),
        (CSV.replace(",80,", ",999999999,"), "billsec"),
        (CSV.replace("1764467100.26", ""), "has no uniqueid"),
        (CSV[:-1], "quote is not closed"),
        ("a,b", "has 2 columns"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_with_the_reason(row, reason):
    found = CdrColumns.found(CSV).read(4, row)
    assert (found.line, found.outcome) == (4, PostOutcome.UNREADABLE)
    assert reason in found.reason
