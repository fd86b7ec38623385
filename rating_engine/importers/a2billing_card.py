"""One rate card of A2Billing as the rows of a deck: which of its rates sells at which time.

A2Billing looks for the rates of a number that are valid, takes those of the longest prefix, and tries them by buying or
selling price, those whose trunk is disabled not at all; `defaultprefix` comes after all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from rating_engine.domain.errors import InvalidRequest
from rating_engine.importers import a2billing_rate as rates
from rating_engine.importers.cells import Known, instant, name, prefix, whole
from rating_engine.importers.model import DeckRow
from rating_engine.importers.overlaps import Candidate, first_come
from rating_engine.importers.peer import Plan, Work
from rating_engine.importers.report import Kind
from rating_engine.importers.scratch import Record
from rating_engine.importers.week import ALL_WEEK, WEEK, Span, bands_of
from rating_engine.rating.schedule import Window
from rating_engine.services.decks.file.errors import RowRejected
from rating_engine.storage.tariffs.tariff_bands import MAX_WINDOWS

RATES: Final = "cc_ratecard"
DEFAULT_PREFIX: Final = "defaultprefix"
DIGITS: Final = "0123456789"

CODE: Final = "ltrim(trim(coalesce(rate.dialprefix, '')), '+')"
_BY_BUYING: Final = "abs(CAST(coalesce(rate.buyrate, '0') AS REAL))"
_BY_SELLING: Final = "abs(CAST(coalesce(rate.rateinitial, '0') AS REAL))"


class RateCard:
    """The rows of one rate card. `windows`: those of its tariff."""

    def __init__(self, work: Work, plan: Plan, zone: ZoneInfo, min_duration: int) -> None:
        self._work = work
        self._report = work.report
        self._zone = zone
        self._readings = Known(rates.TERMS, lambda record: rates.read_rate(record, min_duration))
        self._own = "1" if plan.plan_id is None else "rate.idtariffplan = ?"
        self._values: tuple[str, ...] = () if plan.plan_id is None else (plan.plan_id,)
        self._order = self._tried_by(plan)
        self._origin, self._begins, self._ends = self._limits_of(plan)
        self.windows: tuple[Window, ...]
        self.windows, self._bands = bands_of(self._spans())
        if len(self.windows) > MAX_WINDOWS:
            raise InvalidRequest(
                "plan",
                f"the hours of {plan.name!r} need {len(self.windows)} windows of the week, and a tariff may have"
                f" {MAX_WINDOWS}: make starttime and endtime of its rates alike",
            )

    def rows(self, package_id: str | None = None) -> Iterator[DeckRow]:
        """The rows of the deck; with a package, of the rates it covers, which are reported already."""
        where, values = self._own, self._values
        if package_id is not None:
            where += " AND rate.id IN (SELECT rate_id FROM cc_package_rate WHERE package_id = ?)"
            values = (*values, package_id)
        tell = package_id is None
        defaults = self._candidates(self._records(f"{where} AND {CODE} = '{DEFAULT_PREFIX}'", values), tell)
        missing = set(DIGITS)
        found = self._records(f"{where} AND {CODE} <> '{DEFAULT_PREFIX}'", values)
        for text, group in groupby(found, key=lambda row: row["code"]):
            candidates = self._candidates(group, tell)
            if text in missing:
                missing.discard(text)
                candidates += _at(defaults, text)
            yield from self._sold(candidates, tell)
        for digit in sorted(missing):
            yield from self._sold(_at(defaults, digit), tell)

    def _records(self, where: str, values: tuple[str, ...]) -> Iterator[Record]:
        query = f"""
            SELECT rate.*, {CODE} AS code, coalesce(named.destination, rate.destination) AS direction,
                   trunk.status AS trunk_status
            FROM {RATES} rate
            LEFT JOIN cc_prefix named ON named.prefix = rate.destination
            LEFT JOIN cc_tariffplan plan ON plan.id = rate.idtariffplan
            LEFT JOIN cc_trunk trunk ON trunk.id_trunk = CASE
                WHEN coalesce(rate.id_trunk, '') IN ('', '0', '-1') THEN plan.id_trunk ELSE rate.id_trunk END
            WHERE {where}
            ORDER BY code, coalesce(trunk.status, '1') <> '1', {self._order}, CAST(rate.id AS INTEGER),
                     rate.line"""  # noqa: S608  # made of our own words
        return self._work.scratch.rows(query, *values)

    def _candidates(self, records: Iterator[Record], tell: bool) -> list[Candidate]:
        found = []
        for record in records:
            try:
                reading = self._readings.of(record)
                one = self._candidate(record, reading)
            except RowRejected as error:
                if tell:
                    self._work.reject(RATES, record, str(error))
                continue
            if tell:
                self._tell(record, reading, one)
            if one is not None:
                found.append(one)
        return found

    def _candidate(self, record: Record, reading: rates.Reading) -> Candidate | None:
        """None: it is valid no more, or never."""
        text = record["code"]
        digits = DIGITS[0] if text == DEFAULT_PREFIX else prefix(text, "dialprefix")
        begins, ends = instant(record, "startdate", self._zone), instant(record, "stopdate", self._zone)
        begins = max((at for at in (begins, self._begins) if at is not None), default=None)
        ends = min((at for at in (ends, self._ends) if at is not None), default=None)
        now = self._work.options.now
        bands = self._bands.get(_span(record), ())
        if not bands or (ends is not None and (ends <= now or (begins is not None and begins >= ends))):
            return None
        row = DeckRow(
            prefix=digits,
            direction=name(record["direction"]),
            rate=reading.rate,
            origin=self._origin,
            effective_from=None if begins is None or begins <= now else begins,
            effective_to=ends,
        )
        return Candidate(row, bands, record)

    def _sold(self, candidates: list[Candidate], tell: bool) -> Iterator[DeckRow]:
        for one, rows in first_come(candidates):
            yield from rows
            if tell and not rows:
                self._report.add(
                    Kind.LEFT_OUT,
                    "tried-later",
                    "rates of a prefix that has another which A2Billing tries first (several trunks): it sells by that,"
                    " and by these only when its trunk fails",
                    example=f"{one.row.prefix}, line {one.record['line']}",
                )

    def _tell(self, record: Record, reading: rates.Reading, one: Candidate | None) -> None:
        add, example = self._report.add, f"{record['dialprefix']}, line {record['line']}"
        if one is None:
            text = "rates that are valid no more, or at no time (stopdate, starttime after endtime)"
            add(Kind.LEFT_OUT, "expired", text, example=example)
            return
        add(Kind.MAPPED, "rates", "rates: price per minute, initial and billing block, connect charge")
        reading.tell(self._report, example)
        for applies, kind, code, text in (
            (one.row.effective_from or one.row.effective_to, Kind.MAPPED, "dates", "startdate and stopdate are kept"),
            (one.bands != ("",), Kind.MAPPED, "hours", "starttime and endtime are bands of the tariff, to the minute"),
            (self._origin, Kind.MAPPED, "origin", "rates for callers of the rate card's calleridprefix only"),
            (record["trunk_status"] not in (None, "1"), Kind.OTHERWISE, "trunk-off", _TRUNK_OFF),
            (record["code"] == DEFAULT_PREFIX, Kind.MAPPED, "default", _DEFAULT),
            (not _is_one(record["announce_time_correction"]), *_ANNOUNCED),
            (_points(record["id_outbound_cidgroup"]), Kind.LEFT_OUT, "cid-group", "outbound caller id groups of rates"),
            (record["musiconhold"], Kind.LEFT_OUT, "music", "music on hold of rates"),
        ):
            if applies:
                add(kind, code, text, example=example)
        for code, text in _GENERAL.items():
            add(Kind.OTHERWISE, code, text)

    def _spans(self) -> list[Span]:
        query = f"SELECT DISTINCT starttime, endtime FROM {RATES} rate WHERE {self._own}"  # noqa: S608  # our own words
        spans = []
        for record in self._work.scratch.rows(query, *self._values):
            try:
                spans.append(_span(record))
            except RowRejected:  # said of each row that has it
                continue
        return [span for span in spans if span[0] < span[1]]

    def _tried_by(self, plan: Plan) -> str:
        query = """
            SELECT DISTINCT coalesce(trim(lcrtype), '0') AS lcrtype FROM cc_tariffgroup WHERE id IN
                (SELECT idtariffgroup FROM cc_tariffgroup_plan WHERE idtariffplan = ?)"""
        kinds = [record["lcrtype"] for record in self._work.scratch.rows(query, plan.plan_id)]
        return _BY_SELLING if kinds and set(kinds) == {"1"} else _BY_BUYING

    def _limits_of(self, plan: Plan) -> tuple[str, datetime | None, datetime | None]:
        """For which callers and when the rate card as a whole counts."""
        record = plan.record
        if record is None:
            return "", None, None
        if (dnid := name(record["dnidprefix"])) not in ("", "all"):
            text = "rate cards for one access number only (dnidprefix): here for all"
            self._report.add(Kind.OTHERWISE, "dnid", text, example=f"{plan.name}: {dnid}")
        caller = name(record["calleridprefix"]).removeprefix("+")
        if caller in ("", "all"):
            caller = ""
        elif not (caller.isascii() and caller.isdigit() and len(caller) <= 32):
            text = "rate cards for caller ids that are no digits (calleridprefix): here for all"
            self._report.add(Kind.OTHERWISE, "caller", text, example=f"{plan.name}: {caller}")
            caller = ""
        try:
            return caller, instant(record, "startingdate", self._zone), instant(record, "expirationdate", self._zone)
        except RowRejected as error:
            self._work.reject("cc_tariffplan", record, str(error))
            return caller, None, None


_TRUNK_OFF: Final = "rates whose trunk is disabled: A2Billing declines them, or sells by another trunk; here they count"
_DEFAULT: Final = "defaultprefix: ten rates, one for each first digit, behind all others"
_ANNOUNCED: Final = (Kind.LEFT_OUT, "announced", "announce_time_correction, which changes the spoken time only")
_GENERAL: Final = {
    "float": "A2Billing computes in floats, so that a limit may lack an increment (0.70 at 0.10 a minute, 60/60: 360 s"
    " instead of 420); here amounts are exact",
    "places": "A2Billing rounds a cost to 6 decimals and keeps 5 of them (a second at 0.01 a minute: 0.000167, kept as"
    " 0.00017); here all 6 are kept",
}


def _span(record: Record) -> Span:
    """The minutes of the week of a rate, half-open; both ends are inclusive there. NULL or nothing: all of it."""
    begins = whole(record, "starttime")
    ends = whole(record, "endtime") + 1 if (record["endtime"] or "").strip() else WEEK
    return (0, WEEK) if (begins, min(ends, WEEK)) == ALL_WEEK else (begins, min(ends, WEEK))


def _at(defaults: list[Candidate], digit: str) -> list[Candidate]:
    return [replace(one, row=replace(one.row, prefix=digit)) for one in defaults]


def _is_one(text: str | None) -> bool:
    return (text or "1").strip().rstrip("0").rstrip(".") == "1"


def _points(text: str | None) -> bool:
    return (text or "").strip() not in ("", "-1", "0")
