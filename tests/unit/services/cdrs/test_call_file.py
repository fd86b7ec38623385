"""A file of calls that may be anybody's: a bad row costs itself, and no line is held that goes on and on."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.cdrs.call_file import BadCall, CallFile, FileCall

HEADER = "calldate,dst,billsec"
ROW = "2026-11-30 08:00,49301234,60"


def written(directory: Path, *lines: str) -> Path:
    path = directory / "calls.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def calls(path: Path) -> list[FileCall | BadCall]:
    return [call for portion in CallFile(path, "UTC").calls() for call in portion]


def test_a_quote_that_is_not_closed_costs_its_row_and_not_everything_after_it(tmp_path: Path) -> None:
    found = calls(written(tmp_path, HEADER, f'"{ROW}', *[ROW] * 20_000))
    assert isinstance(found[0], BadCall)
    assert "quote" in found[0].problem
    assert [type(call) for call in found[1:]] == [FileCall] * 20_000


@pytest.mark.parametrize("lines", [("x" * 200_000,), (HEADER, "x" * 200_000)], ids=["header", "row"])
def test_a_line_without_end_is_refused_with_its_number(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match=f"line {len(lines)} is longer than 65,536 characters"):
        calls(written(tmp_path, *lines))


def test_seconds_of_thousands_of_digits_are_no_call(tmp_path: Path) -> None:
    (found,) = calls(written(tmp_path, HEADER, f"2026-11-30 08:00,4930,{'1' * 10_000}"))
    assert isinstance(found, BadCall)
    assert found.problem.startswith("seconds: ")


def test_a_quoted_cell_may_have_the_delimiter_in_it(tmp_path: Path) -> None:
    (found,) = calls(written(tmp_path, HEADER, '"2026-11-30, 08:00","4930",60'))
    assert isinstance(found, FileCall)
