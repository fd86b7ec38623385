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
import string
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

MAX_VALUE_BYTES: Final = 128  # of one cleaned text; with it the longest answer stays below MAX_COMMAND_BYTES
MAX_COMMAND_BYTES: Final = 2_047  # Asterisk reads a line into 2048 bytes and takes the rest for the next command
MAX_VARIABLES: Final = 24  # MSet of Asterisk 16 splits no more

_UNSAFE: Final = re.compile(r"[^\w \-+.:/#*@\[\]]")  # \w: letters and digits of any script, and _
# What no value has to be cleaned of; most hold nothing else. Brackets are not among it: they have to balance.
_PLAIN: Final = f"{string.ascii_letters}{string.digits}_ -+.:/#*@".encode()
_BRACKETS: Final = re.compile(r"[\[\]]")
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
SETS_OF_NAMES: Final = 64  # remembered as checked; each script has one


def clean_value(text: str, max_bytes: int = MAX_VALUE_BYTES) -> str:
    """`text` as it may stand in a channel variable, cut to `max_bytes` of UTF-8 at a character's border."""
    if len(text) > max_bytes or _but_plain(text).strip(b"[]"):
        text = _UNSAFE.sub("_", text).encode()[:max_bytes].decode("utf-8", errors="ignore")
    return _balanced(text)


def clean_values(texts: Sequence[str]) -> Sequence[str]:
    """Each text as `clean_value` leaves it; most need one look for all of them."""
    together = "".join(texts)
    if len(together) <= MAX_VALUE_BYTES and not _but_plain(together):
        return texts
    return [clean_value(text) for text in texts]


def render_mset(variables: Mapping[str, str]) -> bytes:
    """The command line that sets `variables`, its line end included; values are cleaned here once more.

    Raises ValueError where a name is no constant of ours, or the line would not fit Asterisk's buffer.
    """
    line_of = _form(tuple(variables))
    values = tuple(variables.values())
    left = _but_plain("".join(values))  # one look at all of them; most need no cleaning, or have brackets in one
    if left.strip(b"[]"):
        values = tuple([clean_value(value, MAX_COMMAND_BYTES) for value in values])
    elif left:
        values = tuple([_balanced(value) for value in values])
    line = (line_of % values).encode()
    if len(line) > MAX_COMMAND_BYTES:
        raise ValueError(f"a command of {len(line)} bytes; Asterisk reads {MAX_COMMAND_BYTES}")
    return line


@lru_cache(maxsize=SETS_OF_NAMES)
def _form(names: tuple[str, ...]) -> str:
    """The command for these names, with a place for each value: names are ours, and checked when first used."""
    if not 0 < len(names) <= MAX_VARIABLES:
        raise ValueError(f"{len(names)} variables; MSet takes 1 to {MAX_VARIABLES}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a variable name: {name!r}")
    pairs = ",".join([f"{name}=%s" for name in names])
    return f'EXEC MSet "{pairs}"\n'


def _but_plain(text: str) -> bytes:
    """What a text holds besides plain characters; much cheaper than a search by pattern."""
    return text.encode(errors="replace").translate(None, _PLAIN)


def _balanced(value: str) -> str:
    """The value, without brackets where one is not closed, or none was opened before it."""
    if "[" not in value and "]" not in value:
        return value
    before, *opened = value.split("[")
    depth = -before.count("]")
    for part in opened:
        if depth < 0:
            break
        depth += 1 - part.count("]")
    return _BRACKETS.sub("_", value) if depth else value
