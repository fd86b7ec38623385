"""What costs calls and money in the trunks' part of pjsip.conf, found by reading: pure text in, findings out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_COMMENT: Final = re.compile(r"(?<!\\);.*$", re.MULTILINE)
_SECTION: Final = re.compile(r"\[([^\]]+)\]\s*(?:\(([^)]*)\))?")
_OPTION: Final = re.compile(r"\s*([A-Za-z0-9_]+)\s*=>?\s*(.*?)\s*")
_OFF: Final = frozenset({"no", "false", "n", "f", "0", "off"})
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "qualify_frequency": (
        "nobody asks whether it is there: while it is down each call waits 32 s for it",
        "write qualify_frequency=30 into its aor",
    ),
    "rtp_timeout": (
        "a call whose sound has ended is charged until its limit",
        "write rtp_timeout=60 and rtp_timeout_hold=600 into its endpoint",
    ),
    "allow_transfer": (
        "the carrier may transfer your calls to wherever it likes",
        "write allow_transfer=no into its endpoint",
    ),
}


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    options: Mapping[str, str]

    def is_a(self, kind: str) -> bool:
        return self.options.get("type", "").lower() == kind

    def number(self, option: str) -> float:
        """0 where it has none."""
        value = self.options.get(option, "")
        return float(value) if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value) else 0.0


def check_trunks(text: str, routes: Iterable[str]) -> list[tuple[str, str]]:
    """What is missing at the endpoints that routes are named after, each with its mend.

    Endpoints that the text does not have may be kept somewhere else, and are passed over.
    """
    sections = _sections(text)
    endpoints = {each.name: each for each in sections if each.is_a("endpoint")}
    aors = {each.name: each for each in sections if each.is_a("aor")}
    found = []
    for name in dict.fromkeys(routes):
        if endpoint := endpoints.get(name):
            found += [
                (f"the trunk {name} has no {option}: {_WORDS[option][0]}", _WORDS[option][1])
                for option in _lacks(endpoint, aors)
            ]
    return found


def _lacks(endpoint: _Section, aors: Mapping[str, _Section]) -> Iterable[str]:
    names = [name.strip() for name in endpoint.options.get("aors", "").split(",")]
    known = [aors[name] for name in names if name in aors]
    if known and not any(aor.number("qualify_frequency") for aor in known):
        yield "qualify_frequency"
    if not endpoint.number("rtp_timeout"):
        yield "rtp_timeout"
    if endpoint.options.get("allow_transfer", "yes").lower() not in _OFF:
        yield "allow_transfer"


def _sections(text: str) -> list[_Section]:
    """Every section with what it has of its templates; one that is added to (`(+)`) is one section."""
    sections: list[tuple[str, dict[str, str]]] = []
    templates: dict[str, dict[str, str]] = {}
    options: dict[str, str] = {}
    for line in _COMMENT.sub("", text).splitlines():
        if opened := _SECTION.fullmatch(line.strip()):
            name, words = opened[1], [word.strip() for word in (opened[2] or "").split(",")]
            if "+" in words and name in templates:
                options = templates[name]
                continue
            options = {}
            for word in words:
                options |= templates.get(word, {})
            if "!" not in words:
                sections.append((name, options))
            templates[name] = options
        elif option := _OPTION.fullmatch(line):
            options[option[1].lower()] = option[2]
    return [_Section(name, options) for name, options in sections]
