"""Calendars of holidays from CSV files: lines of date,name."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Final

from rating_engine.domain.checks import check_text
from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.schedule import InvalidSchedule, parse_day

MAX_FILE_BYTES: Final = 2_000_000  # far more than MAX_HOLIDAYS days with their names


def read_holidays(file: Path) -> list[tuple[date, str]]:
    """The rows `date,name` of a CSV file, a heading before them allowed. Raises InvalidRequest naming the line."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise InvalidRequest("file", f"{file} is larger than {MAX_FILE_BYTES:,} bytes; is it a calendar?")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidRequest("file", f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidRequest("file", f"{file} is not UTF-8 text") from None
    days: dict[date, str] = {}
    reader = csv.reader(text.splitlines())
    for cells in reader:
        line = reader.line_num
        if not any(cell.strip() for cell in cells) or (line == 1 and cells[0].strip().lower() in ("date", "day")):
            continue
        try:
            day = parse_day(cells[0].strip())
        except InvalidSchedule as error:
            raise InvalidRequest(f"line {line}", str(error)) from None
        if day in days:
            raise InvalidRequest(f"line {line}", f"{day} came before")
        days[day] = ",".join(cells[1:]).strip()
        check_text(days[day], f"line {line}")
    if not days:
        raise InvalidRequest("file", f"{file} has no days")
    return list(days.items())
