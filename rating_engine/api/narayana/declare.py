"""What a method of the document is, as data: its name, its level, and its arguments with their types and defaults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The types of the document. A choice (`ustring`) has the values in its {braces}."""

    TEXT = "string"
    CHOICE = "ustring"
    NUMBER = "num"
    FLAG = "bool"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument. `default`: as it is written there, None: none. `also`: other names that the document has for it."""

    name: str
    kind: Kind
    required: bool = False
    default: str | None = None
    values: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """One entry. `level`: 0 anybody; 50 and above are of server keys alone."""

    name: str
    level: int
    arguments: tuple[Argument, ...] = ()


def text(name: str, *also: str, required: bool = False, default: str | None = None) -> Argument:
    """Any text."""
    return Argument(name, Kind.TEXT, required, default, also=also)


def number(name: str, *also: str, required: bool = False, default: str | None = None) -> Argument:
    """A plain decimal."""
    return Argument(name, Kind.NUMBER, required, default, also=also)


def flag(name: str, *also: str, required: bool = False, default: str | None = None) -> Argument:
    """True or false."""
    return Argument(name, Kind.FLAG, required, default, also=also)


def choice(
    name: str, values: tuple[str, ...], *also: str, required: bool = False, default: str | None = None
) -> Argument:
    """One of `values`."""
    return Argument(name, Kind.CHOICE, required, default, values, also)
