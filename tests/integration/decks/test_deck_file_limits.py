"""A deck file of somebody who means harm: refused with the limit and the row, in memory that stays flat.

Each file is read by a process that may take no more than MEMORY_BYTES beyond what the program itself is, and no more
than CPU_SECONDS: a guard, many times what it takes, against work that grows faster than the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rating_engine.services.decks.file import limits
from tests.support.forged_workbooks import BEGIN, END, HEADER_ROW, SHEET, TEXTS, Repeated, forge, sheet

MEMORY_BYTES = 200 * 1024 * 1024
CPU_SECONDS = 60
MEGABYTE = 1024 * 1024

READ = """
import json, resource, sys
from pathlib import Path
from rating_engine.domain.errors import RatingEngineError
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.reading import DeckReading
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.services.decks.file.rows import RowChecker
from rating_engine.services.decks.file.terms import DeckTerms

path, memory, cpu = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + memory, held + memory))
resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
said = {"refused": None}
try:
    source = open_deck(path)
    with RejectedRows(source) as rejects:
        terms = DeckTerms("EUR", PriceUnit.MINUTE, source.decimal_comma)
        reading = DeckReading(source, RowChecker(source.layout, terms), rejects)
        taken = sum(data.count(b"\\n") for data in reading.new_rows(""))
        said |= {"taken": taken, "rejected": rejects.count}
except RatingEngineError as error:
    said["refused"] = str(error)
print(json.dumps(said))
"""


def read(path: Path) -> dict[str, Any]:
    """What an import's reading of the file comes to."""
    command = [sys.executable, "-c", READ, str(path), str(MEMORY_BYTES), str(CPU_SECONDS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2_000:]
    said: dict[str, Any] = json.loads(result.stdout)
    return said


CELL = b"<c><v>1</v></c>"
TEXT_CELL = b'<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2"><v>1</v></c></row>'

WORKBOOKS: dict[str, tuple[dict[str, bytes | Repeated], str]] = {
    "a row of ten million cells": (
        {SHEET: Repeated(BEGIN + HEADER_ROW + b"<row>", CELL * 10_000, 1_000, b"</row>" + END)},
        "more than 250 times its size",
    ),
    "a row of a hundred thousand cells": (
        {SHEET: sheet(b"<row>" + CELL * 100_000 + b"</row>")},
        "row 2 of the sheet 'Rates' has more than 1,024 cells",
    ),
    "a row of a hundred thousand empty cells": (
        {SHEET: sheet(b"<row>" + b"<c/>" * 100_000 + b"</row>")},
        "row 2 of the sheet 'Rates' has more than 16,384 cells",
    ),
    "three gigabytes": (
        {SHEET: Repeated(BEGIN + HEADER_ROW, b"<row></row>" * 100_000, 2_900, END)},
        "too large for a workbook",
    ),
    "half a gigabyte": (
        {SHEET: Repeated(BEGIN + HEADER_ROW, b"<row></row>" * 100_000, 500, END)},
        "more than 250 times its size",
    ),
    "more rows than a sheet has": (
        {SHEET: sheet(b"<row/>" * (limits.MAX_SHEET_ROWS + 1))},
        "more than 1,048,576 rows",
    ),
    "a row that calls itself a billion": (
        {SHEET: sheet(b'<row r="1000000000"/>')},
        "row 1 of the sheet 'Rates' has after it one that calls itself '1000000000'",
    ),
    "a cell that calls itself ZZZ2": (
        {SHEET: sheet(b'<row r="2"><c r="ZZZ2"><v>1</v></c></row>')},
        "row 2 of the sheet 'Rates' has more than 16,384 cells",
    ),
    "a cell of a megabyte": (
        {SHEET: sheet(b'<row r="2"><c t="str"><v>' + b"x" * MEGABYTE + b"</v></c></row>")},
        "row 2 of the sheet 'Rates' has a cell of more than 32,767 characters",
    ),
    "a record of a hundred thousand characters": (
        {SHEET: sheet(b"<row>" + (b'<c t="str"><v>' + b"x" * 10_000 + b"</v></c>") * 10 + b"</row>")},
        "row 2 of the sheet 'Rates' has more than 65,536 characters",
    ),
    "a shared text of a megabyte": (
        {SHEET: sheet(TEXT_CELL), TEXTS: b"<sst><si><t>" + b"x" * MEGABYTE + b"</t></si></sst>"},
        "the shared text 1 has more than 32,767 characters",
    ),
    "a hundred megabytes of shared texts": (
        {SHEET: sheet(TEXT_CELL), TEXTS: Repeated(b"<sst>", b"<si><t>x</t></si>" * 100_000, 60, b"</sst>")},
        "too large for a workbook: xl/sharedStrings.xml",
    ),
    "a text that there is not": (
        {SHEET: sheet(TEXT_CELL), TEXTS: b"<sst></sst>"},
        "the text number '0', which there is not",
    ),
    "entities that grow": (
        {SHEET: b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + sheet(b"<row>&b;</row>")},
        "declares a document type",
    ),
    "an entity of another file": (
        {SHEET: b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + sheet(b"<row>&a;</row>")},
        "declares a document type",
    ),
    "a tag without end": (
        {SHEET: sheet(b'<row r="2" x="' + b"y" * (6 * MEGABYTE))},
        "a tag of more than 262,144 bytes",
    ),
    "elements within each other": ({SHEET: sheet(b"<row>" + b"<a>" * 300_000)}, "more than 64 deep"),
    "names without number": (
        {SHEET: sheet(b"".join(b"<a%d/>" % number for number in range(300_000)))},
        "more than 10,000 names of elements",
    ),
    "a list of sheets without end": (
        {SHEET: sheet(b""), "xl/workbook.xml": b"<workbook><sheets>" + b'<sheet name="x"/>' * 1_000 + b"</sheets>"},
        "more than 200 sheets",
    ),
    "no sheet": ({"xl/_rels/workbook.xml.rels": b"<Relationships/>"}, "no sheet with cells"),
    "XML cut short": ({SHEET: BEGIN + HEADER_ROW}, "cannot be read as an Excel workbook"),
    "a ZIP in a ZIP": ({"_rels/.rels": b"<Relationships/>", "deck.xlsx": b"PK\3\4"}, "without a workbook in it"),
    "parts without number": ({f"xl/media/{number}": b"" for number in range(5_000)}, "more than 2,000 parts"),
    "a directory without end": (
        {f"xl/media/{number:060}": b"" for number in range(20_000)},
        "a directory of more than 1,048,576 bytes",
    ),
}


@pytest.mark.parametrize(("parts", "said"), WORKBOOKS.values(), ids=WORKBOOKS.keys())
def test_a_forged_workbook_is_refused_with_the_limit(
    tmp_path: Path, parts: dict[str, bytes | Repeated], said: str
) -> None:
    found = read(forge(tmp_path / "deck.xlsx", parts))
    assert found["refused"] is not None, found
    assert said in found["refused"]


def test_a_workbook_with_a_password_is_refused_in_words(tmp_path: Path) -> None:
    assert "has a password" in read(forge(tmp_path / "deck.xlsx", {SHEET: sheet(b"")}, flags=1))["refused"]


def test_a_million_shared_texts_are_held_in_little_memory(tmp_path: Path) -> None:
    texts = b"<sst>" + b"<si><t>7</t></si>" * 900_000 + b"</sst>"
    assert read(forge(tmp_path / "deck.xlsx", {SHEET: sheet(TEXT_CELL), TEXTS: texts}))["taken"] == 1


def test_a_full_sheet_of_empty_rows_has_one_rate_at_its_end(tmp_path: Path) -> None:
    rows = b'<row r="1048576"><c r="A1048576"><v>44</v></c><c r="B1048576"><v>0.1</v></c></row>'
    assert read(forge(tmp_path / "deck.xlsx", {SHEET: sheet(rows)})) == {"refused": None, "taken": 1, "rejected": 0}


TEXT_FILES = {
    "a line without end": (b"prefix,price\n" + b"4" * (20 * MEGABYTE), "line 2 is longer than 65,536 characters"),
    "one opening quote and no line end": (
        b'prefix,price\n"' + b"4,0.1 " * MEGABYTE,
        "line 2 is longer than 65,536 characters",
    ),
    "a record of millions of fields": (b"prefix,price\n" + b"," * (5 * MEGABYTE), "line 2 is longer than 65,536"),
    "a header of thousands of columns": (b"prefix,price" + b",x" * 20_000 + b"\n", "more than 1,024"),
    "a file that is packed": (b"\x1f\x8b" + b"x" * 100, "packed with gzip"),
}


@pytest.mark.parametrize(("content", "said"), TEXT_FILES.values(), ids=TEXT_FILES.keys())
def test_a_text_that_is_no_deck_is_refused_with_the_limit(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "deck.csv"
    path.write_bytes(content)
    assert said in read(path)["refused"]


def test_one_opening_quote_in_a_long_file_costs_its_own_row(tmp_path: Path) -> None:
    path = tmp_path / "deck.csv"
    rows = [f"{number},0.1" for number in range(1_000_000, 1_400_000)]
    rows[7] = f'"{rows[7]}'
    path.write_text("prefix,price\n" + "\n".join(rows) + "\n")
    found = read(path)
    assert path.stat().st_size > 4_000_000
    assert (found["refused"], found["rejected"]) == (None, 1)
