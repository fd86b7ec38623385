"""A file of accounts, an account a line: delimited text with a header that names the columns (NAMES).

Laws: what is no account is named with its line and the reason; rows that were not taken are written beside the file as
they were, so that they can be mended and given again. An empty cell says nothing: then it is as where it is not given.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from rating_engine.domain.account import AccountKind, NewAccount
from rating_engine.domain.change import LEAVE
from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.money import InvalidAmount, read_amount

MAX_ROWS: Final = 100_000  # made in one transaction, which takes a minute then
MAX_CHARACTERS: Final = 10_000  # of a line
DELIMITERS: Final = (",", ";", "\t", "|")
LINE, REASON = "line", "reason"  # columns of the file of rejected rows, behind its own

NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "login": ("login", "accountcode", "username"),
        "tariff": ("tariff", "rate plan"),
        "balance": ("balance", "opening balance"),
        "currency": ("currency",),
        "overdraft": ("overdraft", "credit limit"),
        "kind": ("kind", "type"),
        "postpaid": ("postpaid",),
        "max_calls": ("max calls", "simultaneous calls"),
        "callerid": ("callerid", "caller id"),
        "owner": ("owner",),
    }
)
_YES_OR_NO: Final = {"yes": True, "no": False, "1": True, "0": False, "true": True, "false": False}
_DIGITS: Final = 10  # of a number of calls

T = TypeVar("T")


@dataclass(slots=True)
class AccountRow:
    """A line of the file: the account that it asks for, or why it is none."""

    line: int
    cells: list[str]
    account: NewAccount | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AccountFile:
    """All of it. `unused`: columns that no account has."""

    path: Path
    content: bytes
    delimiter: str
    header: list[str]
    unused: tuple[str, ...]
    rows: list[AccountRow]

    @property
    def accounts(self) -> list[NewAccount]:
        """Those of the rows that are not rejected."""
        return [row.account for row in self.rows if row.account is not None]


def read_accounts(path: Path, tariff: str | None) -> AccountFile:
    """Every row of a file; `tariff`: of those that name none. Errors: InvalidRequest (file), with what is wrong."""
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InvalidRequest("file", f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidRequest("file", f"{path} is not text in UTF-8") from None
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise InvalidRequest("file", f"{path} is empty")
    delimiter = max(DELIMITERS, key=lines[first].count)
    header = _cells(lines[first], delimiter) or []
    columns = _columns(path, header, tariff)
    blank = ' \t"' + delimiter
    numbered = [(number, line) for number, line in enumerate(lines[first + 1 :], first + 2) if line.strip(blank)]
    if len(numbered) > MAX_ROWS:
        raise InvalidRequest("file", f"{path} has more than {MAX_ROWS:,} accounts: divide it")
    rows = [_row(number, line, delimiter, columns, tariff) for number, line in numbered]
    used = set(columns.values())
    return AccountFile(
        path, content, delimiter, header, tuple(cell for at, cell in enumerate(header) if at not in used), _once(rows)
    )


def write_rejected(file: AccountFile, rejected: Sequence[AccountRow]) -> Path | None:
    """Write the rows that were not taken beside the file, and remove what an earlier import wrote there.

    Errors: InvalidRequest (file) where that cannot be.
    """
    path = rejected_path(file.path)
    try:
        path.unlink(missing_ok=True)
        if not rejected:
            return None
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            writer: Any = csv.writer(stream, delimiter=file.delimiter)
            writer.writerow([*file.header, LINE, REASON])
            width = len(file.header)
            for row in rejected:
                kept = [*row.cells[:width], *[""] * (width - len(row.cells))]
                writer.writerow([*kept, row.line, row.reason])
    except OSError as error:
        raise InvalidRequest("file", f"cannot write {path}: {error.strerror or error}") from None
    return path


def rejected_path(file: Path) -> Path:
    """Where the rejected rows go: accounts.csv has them in accounts.rejected.csv."""
    return file.with_suffix(".rejected.csv")


def _columns(path: Path, header: Sequence[str], tariff: str | None) -> dict[str, int]:
    names = [" ".join(cell.replace("_", " ").casefold().split()) for cell in header]
    columns: dict[str, int] = {}
    for column, known in NAMES.items():
        found = [at for at, name in enumerate(names) if name in known]
        if len(found) > 1:
            raise InvalidRequest("file", f"{path} has the column {column} twice")
        if found:
            columns[column] = found[0]
    if "login" not in columns:
        raise InvalidRequest("file", f"{path} has no column login in its first line: {', '.join(header)[:200]}")
    if "tariff" not in columns and tariff is None:
        raise InvalidRequest("tariff", f"{path} has no column tariff: say whose prices they call by")
    if {"kind", "postpaid"} <= columns.keys():
        raise InvalidRequest("file", f"{path} has the columns kind and postpaid, which say the same: leave one")
    return columns


def _row(line: int, text: str, delimiter: str, columns: Mapping[str, int], tariff: str | None) -> AccountRow:
    cells = _cells(text, delimiter)
    if cells is None:
        return AccountRow(line, [text], None, "a quote is not closed on its line, or the line is too long")
    values = {name: cells[at].strip() for name, at in columns.items() if at < len(cells) and cells[at].strip()}
    try:
        return AccountRow(line, cells, _account(values, tariff))
    except InvalidRequest as error:
        return AccountRow(line, cells, None, str(error))


def _account(values: Mapping[str, str], tariff: str | None) -> NewAccount:
    """Raises InvalidRequest naming the field."""

    def of(name: str, read: Callable[[str, str], T], otherwise: T) -> T:
        return read(values[name], name) if name in values else otherwise

    wanted = values.get("tariff", tariff)
    if wanted is None:
        raise InvalidRequest("tariff", "is empty")
    is_postpaid = of("postpaid", _yes_or_no, False)
    return NewAccount(
        login=values.get("login", ""),
        tariff=wanted,
        currency=values.get("currency"),
        balance=of("balance", _amount, Decimal(0)),
        overdraft=LEAVE if "overdraft" not in values else _credit(values["overdraft"]),
        kind=of("kind", _kind, AccountKind.POSTPAID if is_postpaid else AccountKind.PREPAID),
        max_calls=of("max_calls", _whole, None),
        callerid=values.get("callerid", ""),
        owner=values.get("owner"),
    )


def _amount(text: str, field: str) -> Decimal:
    try:
        return read_amount(text, field)
    except InvalidAmount as error:
        raise InvalidRequest(error.field, error.problem) from None


def _credit(text: str) -> Decimal | None:
    return None if text.casefold() in ("none", "unlimited") else _amount(text, "overdraft")


def _kind(text: str, field: str) -> AccountKind:
    try:
        return AccountKind(text.casefold())
    except ValueError:
        raise InvalidRequest(field, f"{text[:40]!r} is neither prepaid nor postpaid") from None


def _yes_or_no(text: str, field: str) -> bool:
    if (found := _YES_OR_NO.get(text.casefold())) is None:
        raise InvalidRequest(field, f"{text[:40]!r} is neither yes nor no")
    return found


def _whole(text: str, field: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise InvalidRequest(field, f"{text[:40]!r} is not a whole number")
    return int(text)


def _once(rows: list[AccountRow]) -> list[AccountRow]:
    """Of rows that have one login, all but the first are rejected."""
    first: dict[str, int] = {}
    for row in rows:
        if row.account is not None and (line := first.setdefault(row.account.login, row.line)) != row.line:
            row.account, row.reason = None, f"login: stands in line {line} too"
    return rows


def _cells(line: str, delimiter: str) -> list[str] | None:
    """The cells of one line; None where its quotes don't pair."""
    if len(line) > MAX_CHARACTERS:
        return None
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None
