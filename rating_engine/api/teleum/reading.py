"""What a request gives: read from query and form body, checked by the table of commands. Pure.

Laws: the body wins over the query, and the last of a name given twice; what is not UTF-8 or too much is no request; an
integer may be a number or digits in text; names are exact, and those that a command does not know are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from rating_engine.api.teleum.commands import Command, Parameter
from rating_engine.api.teleum.errors import BAD_REQUEST, Failure, wrong

MAX_NAMES: Final = 100
MAX_TEXT: Final = 4_000  # characters of one value
FORM: Final = "application/x-www-form-urlencoded"

_WHOLE: Final = re.compile(r"[0-9]{1,18}")


def given_of(query: bytes, content_type: str, body: bytes) -> dict[str, str]:
    """All that was given. Raises Failure (400)."""
    given = _form(query)
    if body.strip():
        if content_type.partition(";")[0].strip().lower() not in ("", FORM):
            raise Failure(BAD_REQUEST, 400)
        given |= _form(body)
    return given


@dataclass(frozen=True, slots=True)
class Values:
    """The checked parameters of a command, by their names; absent ones are not there."""

    given: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Whether it was given."""
        return name in self.given

    def text(self, name: str) -> str:
        """It, '' where it is absent."""
        return self.given.get(name, "")

    def whole(self, name: str) -> int | None:
        """It as a number; None where it is absent."""
        return int(self.given[name]) if name in self.given else None

    def needed(self, name: str) -> str:
        """It. Raises Failure where it is absent or blank."""
        if not self.text(name).strip():
            raise wrong(name)
        return self.given[name]

    def flag(self, name: str) -> bool | None:
        """Whether it is 1; None where it is absent."""
        return self.given[name] == "1" if name in self.given else None


def read_parameters(command: Command, given: Mapping[str, str]) -> Values:
    """The parameters of a command, with what else one of its handlers asks for. Raises Failure naming the parameter."""
    values = dict(given)
    for parameter in command.parameters:
        text = next((given[name] for name in (parameter.name, *parameter.also) if name in given), None)
        if text is None or (text.strip() == "" and (parameter.kind != "string" or parameter.required)):
            if parameter.required:
                raise wrong(parameter.name)
            values.pop(parameter.name, None)
            continue
        values[parameter.name] = _checked(parameter, text)
    return Values(values)


def _checked(parameter: Parameter, text: str) -> str:
    if parameter.kind == "string":
        if len(text) > MAX_TEXT or "\0" in text or (parameter.one_of and text not in ("", *parameter.one_of)):
            raise wrong(parameter.name)
        return text
    digits = text.strip()
    if not _WHOLE.fullmatch(digits) or not digits.isascii() or not parameter.least <= int(digits) <= parameter.most:
        raise wrong(parameter.name)
    if parameter.one_of and digits not in parameter.one_of:
        raise wrong(parameter.name)
    return digits


def _form(text: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_NAMES))
    except ValueError:
        raise Failure(BAD_REQUEST, 400) from None
