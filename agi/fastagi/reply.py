"""Bytes of an Asterisk in, its replies to our commands out. No socket, no clock, bounded memory.

Asterisk answers a command by one line (`200 result=0`, `200 result=1 (value)`, `510 Invalid or unknown
command`, `511 Command Not Permitted on a dead channel`) or, after a usage error, by several:
`520-Invalid command syntax. ...`, the usage, `520 End of proper usage.`. Between replies it may say `HANGUP` on
a line of its own: the caller has gone, the channel still takes commands. Any chunking gives the same events and
then the same class of error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agi.fastagi.errors import SHOWN_BYTES, BadReply, ReplyTooLarge

MAX_REPLY_LINE_BYTES: Final = 8_192  # a variable's value holds 4096, and we ask for none
MAX_REPLY_BYTES: Final = 65_536  # the longest usage text of Asterisk 22 has about 2,000

DONE: Final = b"200 result=0\n"  # what Asterisk answers to the one command we send, unless something is wrong
SUCCESS: Final = 200
USAGE: Final = 520

_LINE: Final = re.compile(r"([1-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_RESULT: Final = re.compile(r"result=(\S*)(?: (.*))?", re.DOTALL)
_HANGUP: Final = "HANGUP"


@dataclass(frozen=True, slots=True)
class Reply:
    """Asterisk's answer to one command.

    `result` is the word behind `result=` (a number or what a caller pressed), empty where there is none; `text`
    is the rest of the line, or the lines of a usage text.
    """

    code: int
    result: str
    text: str

    @property
    def succeeded(self) -> bool:
        """The command was carried out; `result=-1` and `-2` say that it was not."""
        return self.code == SUCCESS and not self.result.startswith("-")


@dataclass(frozen=True, slots=True)
class Hangup:
    """The caller hung up; commands go on being answered."""


class ReplyParser:
    """Collects replies; broken after a ProtocolError, which it then raises again."""

    __slots__ = ("_buffer", "_error", "_reply_bytes", "_searched", "_usage")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._usage: list[str] | None = None  # lines of a reply that is not complete yet
        self._reply_bytes = 0
        self._error: BadReply | ReplyTooLarge | None = None

    def feed(self, data: bytes) -> Iterator[Reply | Hangup]:
        """Yield the events that these bytes complete; raises BadReply or ReplyTooLarge where the fault is."""
        if self._error is not None:
            raise self._error
        self._buffer += data
        try:
            yield from self._take_lines()
        except (BadReply, ReplyTooLarge) as error:
            self._error = error
            self._buffer.clear()
            raise

    def _take_lines(self) -> Iterator[Reply | Hangup]:
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            self._check(len(line))
            if event := self._take_line(_text(line.removesuffix(b"\r"))):
                self._reply_bytes = 0
                yield event
            else:
                self._reply_bytes += len(line) + 1
        self._searched = len(self._buffer)
        self._check(len(self._buffer))

    def _check(self, length: int) -> None:
        if length > MAX_REPLY_LINE_BYTES:
            raise ReplyTooLarge(f"a line of more than {MAX_REPLY_LINE_BYTES} bytes")
        if self._reply_bytes + length > MAX_REPLY_BYTES:
            raise ReplyTooLarge(f"a reply of more than {MAX_REPLY_BYTES} bytes")

    def _take_line(self, line: str) -> Reply | Hangup | None:
        match = _LINE.fullmatch(line)
        if self._usage is not None:
            self._usage.append(line)
            if match is None or int(match[1]) != USAGE:
                return None
            text = "\n".join(self._usage)
            self._usage = None
            return Reply(USAGE, "", text)
        if line == _HANGUP:
            return Hangup()
        if match is None:
            raise BadReply(f"not a reply: {line[:SHOWN_BYTES]!r}")
        code, text = int(match[1]), match[3] or ""
        if match[2] == "-" and code == USAGE:
            self._usage = [text]
            return None
        result = _RESULT.fullmatch(text)
        return Reply(code, result[1], result[2] or "") if result else Reply(code, "", text)


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")
