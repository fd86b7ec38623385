"""Our one command to Asterisk: `EXEC MSet "A=1,B=2"` sets every variable in a single round trip.

Law: whatever the values hold (a caller's name, a route somebody named), Asterisk reads exactly the variables
we meant, and no value can turn into dialplan. Asterisk reads the line three times: AGI splits it into words by
blanks, quotes and backslashes; MSet splits it at commas, but not inside quotes, (), [] (an unmatched `[`
swallows the rest: seen on Asterisk 22.10); the dialplan later substitutes the value into applications and
expressions. Escaping for three readers is fragile, so a value is cleaned instead:

- letters and digits of any script, blanks and `_ - + . : / # * @` stay;
- `[` and `]` stay when they are balanced in the value, as in `Saved X [1/2] via [r] 3 0.10 EUR 16ANSWER`;
- every other character (comma, quotes, backslash, line ends, `$ { } ( ) ; | & < > = ?` ...) becomes `_`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MAX_VALUE_BYTES: Final = 128  # of one cleaned text; with it the longest answer stays below MAX_COMMAND_BYTES
MAX_COMMAND_BYTES: Final = 2_047  # Asterisk reads a line into 2048 bytes and takes the rest for the next command
MAX_VARIABLES: Final = 24  # MSet of Asterisk 16 splits no more

_UNSAFE: Final = re.compile(r"[^\w \-+.:/#*@\[\]]")  # \w: letters and digits of any script, and _
_SUSPICIOUS: Final = re.compile(r"[^\w \-+.:/#*@]")  # and the brackets, which have to balance
_BRACKETS: Final = re.compile(r"[\[\]]")
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def clean_value(text: str, max_bytes: int = MAX_VALUE_BYTES) -> str:
    """`text` as it may stand in a channel variable, cut to `max_bytes` of UTF-8 at a character's border."""
    value = _UNSAFE.sub("_", text)
    if len(value) > max_bytes or not value.isascii():
        value = value.encode()[:max_bytes].decode("utf-8", errors="ignore")
    if not _balanced(value):
        value = _BRACKETS.sub("_", value)
    return value


def render_mset(variables: Mapping[str, str]) -> bytes:
    """The command line that sets `variables`, its line end included; values are cleaned here once more.

    Raises ValueError where a name is no constant of ours, or the line would not fit Asterisk's buffer.
    """
    if not 0 < len(variables) <= MAX_VARIABLES:
        raise ValueError(f"{len(variables)} variables; MSet takes 1 to {MAX_VARIABLES}")
    for name in variables:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a variable name: {name!r}")
    if _SUSPICIOUS.search("".join(variables.values())):  # one look at all values; most need no cleaning
        variables = {name: clean_value(value, MAX_COMMAND_BYTES) for name, value in variables.items()}
    pairs = ",".join([f"{name}={value}" for name, value in variables.items()])
    line = f'EXEC MSet "{pairs}"\n'.encode()
    if len(line) > MAX_COMMAND_BYTES:
        raise ValueError(f"a command of {len(line)} bytes; Asterisk reads {MAX_COMMAND_BYTES}")
    return line


def _balanced(value: str) -> bool:
    if "[" not in value and "]" not in value:
        return True
    depth = 0
    for bracket in _BRACKETS.findall(value):
        depth += 1 if bracket == "[" else -1
        if depth < 0:
            return False
    return depth == 0
