"""The arguments of a query: read from text by their types, in the order of the document. Pure.

Laws: an argument has its value or its default or is absent; what does not parse is refused, never guessed; names are
matched without regard to case, a blank is an underscore; unknown names are ignored; nothing here is larger than what
the body may be, and a number has so many digits at most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from rating_engine.api.narayana.declare import Argument, Kind, Method
from rating_engine.api.narayana.errors import Code, Failure

MAX_WHOLE: Final = 2**63 - 1  # of a column

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_FLAGS: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}

Value = str | Decimal | bool


def plain_name(name: str) -> str:
    """The one way in which a name is compared."""
    return name.strip().replace(" ", "_").lower()


class Values:
    """The arguments of one query as their types. What is absent and has no default is None."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Whether it was given, or has a default."""
        return plain_name(name) in self._values

    def text(self, name: str) -> str | None:
        """A text or a choice."""
        value = self._values.get(plain_name(name))
        assert value is None or isinstance(value, str), name
        return value

    def number(self, name: str) -> Decimal | None:
        """A decimal."""
        value = self._values.get(plain_name(name))
        assert value is None or isinstance(value, Decimal), name
        return value

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self._values.get(plain_name(name))
        assert value is None or isinstance(value, bool), name
        return value

    def whole(self, name: str) -> int | None:
        """A number without decimals. Raises Failure: E_INVALID_ARGUMENT where it has some, E_DATA_ABORT beyond 2⁶³."""
        value = self.number(name)
        if value is None:
            return None
        if value != value.to_integral_value():
            raise Failure(Code.E_INVALID_ARGUMENT, f"{name}: must be a whole number")
        if abs(value) > MAX_WHOLE:
            raise Failure(Code.E_DATA_ABORT, f"{name}: is out of range")
        return int(value)

    def switch(self, name: str) -> bool | None:
        """A number that is 0 or 1. Raises Failure (E_DATA_ABORT)."""
        value = self.number(name)
        if value is not None and value not in (0, 1):
            raise Failure(Code.E_DATA_ABORT, f"{name}: is 0 or 1")
        return None if value is None else bool(value)

    def needed_text(self, name: str) -> str:
        """A text that is obligatory."""
        value = self.text(name)
        assert value is not None, name
        return value

    def needed_whole(self, name: str) -> int:
        """A whole number that is obligatory."""
        value = self.whole(name)
        assert value is not None, name
        return value


def read_arguments(method: Method, given: Mapping[str, str]) -> Values:
    """What a query gives a method. `given`: by plain names.

    Raises Failure: E_MISSING_ARGUMENT, E_INVALID_ARGUMENT, of the first in the document's order that is wrong.
    """
    values: dict[str, Value] = {}
    for argument in method.arguments:
        text = _text_of(argument, given)
        if argument.required and not text:
            raise Failure(Code.E_MISSING_ARGUMENT, f"{argument.name}: is obligatory")
        if text is None:
            text = argument.default
        if text is not None:
            values[plain_name(argument.name)] = read_value(argument, text)
    return Values(values)


def read_value(argument: Argument, text: str) -> Value:
    """One value of the argument's type. Raises Failure (E_INVALID_ARGUMENT)."""
    match argument.kind:
        case Kind.NUMBER:
            if _NUMBER.fullmatch(text):
                return Decimal(text)
            raise _invalid(argument, "is not a number such as 12 or -0.5")
        case Kind.FLAG:
            if (value := _FLAGS.get(text.lower())) is not None:
                return value
            raise _invalid(argument, "is neither true nor false")
        case Kind.CHOICE:
            for one in (text, text.replace("_", "")):  # auto_renew is autorenew
                if one in argument.values:
                    return one
            raise _invalid(argument, f"is none of {', '.join(argument.values)}")
        case Kind.TEXT:
            if "\0" not in text:
                return text
            raise _invalid(argument, "has a NUL")


def did_of(text: str) -> str:
    """A number as people write it, +7 (800) 555-55-50, in digits."""
    return "".join(each for each in text.strip().removeprefix("+") if each not in " ()-.")


def md5_of_password(text: str, name: str) -> str:
    """An MD5 has 32 hex digits; else it is no MD5. Raises Failure."""
    if len(text) != 32 or not all(sign in "0123456789abcdefABCDEF" for sign in text):
        raise Failure(Code.E_INVALID_ARGUMENT, f"{name}: is not the MD5 of a password, 32 hex digits")
    return text


def moment_of(text: str, name: str, *, end: bool = False) -> datetime:
    """YYYY-MM-DD HH:MM:SS of the server (UTC); a date alone is its beginning, or its `end`. Raises Failure."""
    for form, is_day in (("%Y-%m-%d %H:%M:%S", False), ("%Y-%m-%d", True)):
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=UTC)
            return moment + timedelta(days=1) if end and is_day else moment
        except (ValueError, OverflowError):
            continue
    raise Failure(Code.E_INVALID_ARGUMENT, f"{name}: is not like 2026-01-31 or 2026-01-31 23:59:59")


def _text_of(argument: Argument, given: Mapping[str, str]) -> str | None:
    for name in (argument.name, *argument.also):
        if (text := given.get(plain_name(name))) is not None:
            return text
    return None


def _invalid(argument: Argument, problem: str) -> Failure:
    return Failure(Code.E_INVALID_ARGUMENT, f"{argument.name}: {problem}")
