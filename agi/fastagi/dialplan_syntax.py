"""How Asterisk reads a command line and an application's arguments; for our client, which speaks as it does.

Written from the behaviour of Asterisk 22.10 (res_agi, the MSet application), and the independent reader against
which `command.render_mset` is tested. No I/O.
"""

from __future__ import annotations

from typing import Final

MAX_ARGUMENTS: Final = 99  # what MSet of Asterisk 22 splits; the last takes all that is left


def split_command(line: str) -> list[str]:
    """The words of an AGI command line, parted by blanks outside quotes; a backslash keeps the next character."""
    words: list[str] = []
    word: list[str] | None = None
    quoted = escaped = False
    for char in line:
        if escaped or char not in '" \t\\' or (quoted and char in " \t"):
            word = [] if word is None else word
            word.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
            word = [] if word is None else word
        elif word is not None:
            words.append("".join(word))
            word = None
    if word is not None:
        words.append("".join(word))
    return words


def split_arguments(text: str, delimiter: str = ",", limit: int = MAX_ARGUMENTS) -> list[str]:
    """An application's arguments, parted by `delimiter` outside quotes, () and []; quotes and backslashes go.

    The last of `limit` arguments is what is left, as it stands.
    """
    if not text:
        return []
    arguments: list[str] = []
    current: list[str] = []
    parens = brackets = 0
    quoted = False
    position = 0
    while position < len(text):
        if len(arguments) == limit - 1:
            return [*arguments, text[position:]]
        char = text[position]
        position += 1
        if char == "\\":
            current.append(text[position : position + 1])
            position += 1
        elif char == '"':
            quoted = not quoted
        elif char == delimiter and not (parens or brackets or quoted):
            arguments.append("".join(current))
            current = []
        else:
            parens = _depth(parens, char, "()")
            brackets = _depth(brackets, char, "[]")
            current.append(char)
    return [*arguments, "".join(current)]


def mset_variables(text: str) -> dict[str, str]:
    """What `MSet(text)` sets; a pair without `=` is left out, as Asterisk does with a warning."""
    variables: dict[str, str] = {}
    for pair in split_arguments(text):
        halves = split_arguments(pair, "=", limit=2)
        if len(halves) == 2:
            variables[halves[0]] = halves[1]
    return variables


def _depth(depth: int, char: str, pair: str) -> int:
    if char == pair[0]:
        return depth + 1
    return max(0, depth - 1) if char == pair[1] else depth
