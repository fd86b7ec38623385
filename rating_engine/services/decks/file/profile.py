"""Profiles: what the columns of one carrier's files are called, said once in a TOML file.

Law: with a profile nothing is guessed: its columns are used, no other one is looked at, and one missing is an error.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.codes import Dash
from rating_engine.services.decks.file.columns import BAND_PRICES, BY_MINUTE, JURISDICTION_PRICES, Column
from rating_engine.services.decks.file.dates import DateOrder
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.header import HEADER_SEARCH_LINES
from rating_engine.services.decks.file.layout import find_layout
from rating_engine.services.decks.file.opening import is_workbook
from rating_engine.services.decks.file.source import first_text_rows

MAX_PROFILE_BYTES: Final = 64 * 1024  # a dozen names; more is another kind of file
SUFFIX: Final = ".toml"

_KEYS: Final = frozenset(("columns", "sheet", "price_unit", "header_row", "dash", "digits_before", "date_order"))


@dataclass(frozen=True, slots=True)
class DeckProfile:
    """How a carrier writes decks: header names by column, and what else the profile says.

    `header_row`: where the header begins. `dash`, `digits_before`: see codes.CodeReader. `date_order`: see dates.
    """

    columns: Mapping[Column, str]
    sheet: str | None
    price_unit: PriceUnit | None
    header_row: int | None = None
    dash: Dash | None = None
    digits_before: str = ""
    date_order: DateOrder | None = None


NO_PROFILE: Final = DeckProfile({}, None, None)


def profile_path(profile: str, directory: Path) -> Path:
    """The file of a profile: a path to a TOML file as it stands, a bare name in `directory`."""
    path = Path(profile)
    return path if path.suffix == SUFFIX or len(path.parts) > 1 else directory / f"{profile}{SUFFIX}"


def load_profile(path: Path) -> DeckProfile:
    """Read a profile. Raises DeckFileError with what is wrong in it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROFILE_BYTES + 1)
        if len(data) > MAX_PROFILE_BYTES:
            raise DeckFileError(f"profile {path} has more than {MAX_PROFILE_BYTES:,} bytes: it is no profile")
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise DeckFileError(f"profile {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeckFileError(f"profile {path} cannot be understood: {error}") from error
    if problem := _problem(values):
        raise DeckFileError(f"profile {path}: {problem}")
    columns = {Column(name): header for name, header in values["columns"].items()}
    unit = values.get("price_unit")
    return DeckProfile(
        columns,
        values.get("sheet"),
        None if unit is None else PriceUnit(unit),
        values.get("header_row"),
        None if "dash" not in values else Dash(values["dash"]),
        values.get("digits_before", ""),
        None if "date_order" not in values else DateOrder(values["date_order"]),
    )


def propose_profile(path: Path, sheet: str | None) -> str:
    """A profile for files like this one, to be looked over: what is not known stands in it as a comment.

    Raises DeckFileError: unreadable, or no row that could be a header.
    """
    if is_workbook(path):
        from rating_engine.services.decks.file.workbook import first_rows  # openpyxl, with the first workbook

        rows = first_rows(path, sheet)
    else:
        rows = first_text_rows(path)
    header = max(rows, key=lambda row: (_known(row), sum(map(_is_name, row))), default=[])
    names = [cell.strip() for cell in header if cell.strip()]
    if len(names) < len(("prefix", "price")):
        raise DeckFileError(f"{path.name} has no row of column names in its first lines")
    columns = _columns(header)
    return "\n".join(_profile_lines(path, sheet, columns, names)) + "\n"


def _profile_lines(path: Path, sheet: str | None, columns: Mapping[Column, str], names: list[str]) -> list[str]:
    used = set(columns.values())
    lines = [f"# Columns of {json.dumps(path.name)}. Each line says: our name = the name in the file."]
    lines += [f"sheet = {_quoted(sheet)}"] if sheet is not None else []
    lines += ["[columns]", *(f"{column} = {_quoted(name)}" for column, name in columns.items())]
    if not columns:
        lines += ['prefix = ""  # fill in', 'price = ""  # fill in, per minute; or price_1 and price_n']
    others = [name for name in names if name not in used]
    lines += ["# not used:", *(f"# {_quoted(name)}" for name in others)] if others else []
    return lines


def _columns(header: list[str]) -> dict[Column, str]:
    """What the header's own names say; nothing where they could mean two things."""
    try:
        layout = find_layout(header)
    except DeckFileError:
        return {}
    return {} if layout is None else {column: layout.header[position] for column, position in layout.positions.items()}


def _known(row: list[str]) -> int:
    return len(_columns(row))


def _is_name(cell: str) -> bool:
    return any(map(str.isalpha, cell))


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _problem(values: dict[str, Any]) -> str | None:
    """What is wrong with a profile, or None."""
    if unknown := values.keys() - _KEYS:
        return f"unknown: {', '.join(sorted(unknown))}; it may have {', '.join(sorted(_KEYS))}"
    columns = values.get("columns")
    if not isinstance(columns, dict):
        return "has no table [columns]"
    if unknown := columns.keys() - set(Column):
        return f"columns: unknown: {', '.join(sorted(unknown))}; known are {', '.join(Column)}"
    if bad := [name for name, header in columns.items() if not isinstance(header, str) or not header.strip()]:
        return f"columns: {bad[0]} is not the name of a column"
    if "sheet" in values and not isinstance(values["sheet"], str):
        return "sheet is not a name"
    if "price_unit" in values and values["price_unit"] not in set(PriceUnit):
        return f"price_unit is neither {' nor '.join(PriceUnit)}"
    return _problem_of_reading(values) or _missing(set(columns))


def _problem_of_reading(values: dict[str, Any]) -> str | None:
    row = values.get("header_row", 1)
    if type(row) is not int or not 1 <= row <= HEADER_SEARCH_LINES:
        return f"header_row is not a row from 1 to {HEADER_SEARCH_LINES:,}"
    if values.get("dash", Dash.AREA) not in set(Dash):
        return f"dash is neither {' nor '.join(Dash)}"
    if values.get("date_order", DateOrder.DMY) not in set(DateOrder):
        return f"date_order is neither {' nor '.join(DateOrder)}"
    before = values.get("digits_before", "")
    if not isinstance(before, str) or not (before == "" or (before.isascii() and before.isdigit() and len(before) < 9)):
        return "digits_before is not text of some digits"
    return None


def _missing(columns: set[str]) -> str | None:
    split = {Column.COUNTRY_CODE, Column.AREA_CODE}
    if (Column.PREFIX in columns) == bool(split & columns) or (split & columns and not split <= columns):
        return "columns: needs prefix, or country_code and area_code"
    by_minute = set(BY_MINUTE) & columns
    if bool(by_minute) == (Column.PRICE_1 in columns) or (by_minute and Column.PRICE_N in columns):
        return "columns: needs price, or price_1 (and perhaps price_n)"
    if BAND_PRICES.keys() & columns and Column.BAND in columns:
        return "columns: needs band and one price, or a price for each band, not both"
    by_state = JURISDICTION_PRICES.keys() & columns
    if by_state and (BAND_PRICES.keys() & columns or {Column.PRICE, Column.PRICE_INDETERMINATE} <= columns):
        return "columns: needs one price, or one for each band, or one for each jurisdiction"
    if by_state and Column.ORIGIN in columns:
        return "columns: needs origin and one price, or a price for each jurisdiction, not both"
    if Column.INTERVALS in columns and {Column.INTERVAL_1, Column.INTERVAL_N} & columns:
        return "columns: needs intervals, or interval_1 and interval_n, not both"
    return None
