"""What goes wrong between the engine and a dialplan, found by reading: pure text in, findings out.

Law: a dialplan without findings cannot let a call through without a limit because the engine was silent. `Dial` takes
an EMPTY `L()` or `S()` as no limit at all, so the variable has to be 0 before the engine is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agi import channel_variables as var
from agi.fastagi.command import clean_value

_COMMENT = re.compile(r"(?<!\\);.*$", re.MULTILINE)
_ZERO = {
    name: re.compile(rf"Set\((?:[^)]*,)?\s*_{{0,2}}{name}\s*=\s*0\s*[,)]", re.IGNORECASE)  # Set(X=0), MSet(A=,X=0)
    for name in (var.RATING_MAX_MS, var.RATING_MAX_SECONDS)
}
_PREPARE = re.compile(r"AGI\([^)]*callPrepare", re.IGNORECASE)
_FINISH = re.compile(r"AGI\([^)]*callFinish", re.IGNORECASE)
_DIAL = re.compile(r"(?:^|[=,]\s*|\))Dial\(", re.IGNORECASE | re.MULTILINE)
_LIMIT = {  # what ends a call, by the variable that it takes
    var.RATING_MAX_MS: re.compile(rf"L\(\$\{{{var.RATING_MAX_MS}\}}"),
    var.RATING_MAX_SECONDS: re.compile(rf"(?:S\(|TIMEOUT\(absolute\)\s*=\s*)\$\{{{var.RATING_MAX_SECONDS}\}}"),
}
_INCLUDE = re.compile(r"^\s*#include\s.*?$", re.IGNORECASE | re.MULTILINE)  # one that is still there was not found
_HANDLER = re.compile(r"hangup_handler_(?:push|wipe)|exten\s*=>?\s*h\s*,", re.IGNORECASE)

_GLOBALS = re.compile(r"^\[globals\](?:\((.*?)\))?\s*$(.*?)(?=^\[|\Z)", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_SETTING = re.compile(r"^\s*(RATING_\w+)\s*=", re.MULTILINE)

_SHIPPED, _SHIPPED_NOW = "[rating-attempts]", "[rating-payer]"  # contexts of the shipped file, and of its present form


def unsafe_values(named: Iterable[tuple[str, str]]) -> list[str]:
    """Of (what it is, value): those that would not reach a dialplan variable as they are, in words."""
    return [
        f"{what} {value!r} reaches the dialplan as {clean_value(value)!r}"
        for what, value in named
        if clean_value(value) != value
    ]


def check_dialplan(text: str) -> list[tuple[str, str]]:
    """What is wrong with a dialplan that asks the engine, each with its mend; nothing for an empty text.

    `text`: with what it includes in its place; an `#include` that is still there could not be read.
    """
    if not text:
        return []
    code = _COMMENT.sub("", text)
    found = [
        (
            f"{line.strip()}: there is no such file, or it can't be read; Asterisk loads nothing of this dialplan then",
            "mend the name, which is looked up in Asterisk's own directory, or write #tryinclude",
        )
        for line in _INCLUDE.findall(code)
    ]
    if _SHIPPED in code and _SHIPPED_NOW not in code:
        found.append(
            (
                "the shipped file is of an older version: it cuts ring groups and forwards, and charges the caller"
                " for a forward",
                "copy config/asterisk/extensions.conf over it again; your own settings stand below the #include",
            )
        )
    if lost := _lost_settings(code):
        found.append(
            (
                f"{', '.join(lost)}: [globals](+) adds to the first [globals] of all; the shipped values come later"
                " and win",
                "write [globals] without (+) for your settings below the #include",
            )
        )
    prepare = _PREPARE.search(code)
    if prepare is None:
        return found or [("callPrepare is never asked", "paste config/asterisk/extensions.conf, or include it")]
    limits = [name for name, pattern in _LIMIT.items() if pattern.search(code)]
    found += [
        (
            f"{name} is not 0 before callPrepare: with the engine down, Dial would have no limit",
            f"put Set({name}=0) before the AGI",
        )
        for name in limits or [var.RATING_MAX_MS]
        if _ZERO[name].search(code, 0, prepare.start()) is None
    ]
    if _DIAL.search(code) and not limits:
        found.append(
            (
                "Dial has no limit from the engine: a call could outlive its money",
                f"give Dial the option L(${{{var.RATING_MAX_MS}}})",
            )
        )
    if _FINISH.search(code) is None:
        found.append(("callFinish is never told: no call would be charged in time", "tell it in a hangup handler"))
    elif _HANDLER.search(code) is None:
        found.append(
            (
                "callFinish is not told from a hangup handler: when the caller hangs up, it is never reached",
                "push the handler with Set(CHANNEL(hangup_handler_push)=...) before Dial",
            )
        )
    return found


def _lost_settings(code: str) -> list[str]:
    """Settings of a `[globals](+)` that a plain [globals] sets again: Asterisk adds the former to the first of all."""
    sections = [(match[1] == "+", set(_SETTING.findall(match[2]))) for match in _GLOBALS.finditer(code)]
    plain = [names for is_added, names in sections[1:] if not is_added]
    added = [names for is_added, names in sections if is_added]
    return sorted(set().union(*added) & set().union(*plain))
