"""A connection to Redis that trusts nothing it is told.

Laws: no more is read than MAX_REPLY_BYTES of one reply and MAX_ANSWER_BYTES of all that were asked for at once,
whatever length the server announces or goes on sending; what is not the protocol, or was not asked for, ends the
connection. A question that is given up ends it too, so that no late reply is taken for the next one's.

A client of our own, since redis-py holds whatever length a server announces. It speaks as much of RESP2 as it needs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

MAX_REPLY_BYTES: Final = 64 * 1024 + 1  # of one value; an answer of a deck has some hundreds
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024  # of all replies to one question: a full batch of the largest values
MAX_LINE_BYTES: Final = 512  # a status, an error or a length
DEFAULT_PORT: Final = 6379

Command = tuple[bytes, ...]


class RedisError(Exception):
    """Redis is not there, refuses, or does not speak as Redis does."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One command that the server refused, in its words."""

    words: str

    @property
    def is_of_the_key(self) -> bool:
        """Whether the key holds another kind of value: nothing is wrong with the server."""
        return self.words.startswith("WRONGTYPE")


Reply = bytes | Refusal | None


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis is, and as whom it is asked. `path`: of its socket in the file system, '' for host and port."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    username: str
    password: str
    database: int

    @classmethod
    def of(cls, url: str) -> RedisAddress:
        """`redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://` the same over TLS, or `unix:///PATH[?db=N]`.

        Over TLS `?ssl_ca_certs=FILE` names who vouches for the server instead of the machine's own list, `ssl_certfile`
        and `ssl_keyfile` who we are. Raises ValueError for what is none of these.
        """
        parts = urlsplit(url)
        options = {name: values[0] for name, values in parse_qs(parts.query).items()}
        is_local = parts.scheme == "unix"
        database = options.get("db", "") or ("" if is_local else parts.path.strip("/"))
        if parts.scheme not in ("redis", "rediss", "unix") or (database and not database.isdecimal()):
            raise ValueError("not redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// or unix:///PATH[?db=N]")
        return cls(
            host=unquote(parts.hostname or "localhost"),
            port=parts.port or DEFAULT_PORT,
            path=unquote(parts.path) if is_local else "",
            tls=_tls(options) if parts.scheme == "rediss" else None,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=int(database or 0),
        )

    @property
    def greeting(self) -> list[Command]:
        """What is said first on a connection."""
        said: list[Command] = []
        if self.password:
            names = (self.username, self.password) if self.username else (self.password,)
            said.append((b"AUTH", *(name.encode() for name in names)))
        if self.database:
            said.append((b"SELECT", b"%d" % self.database))
        return said or [(b"PING",)]


class RedisConnection(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._at = 0  # where the next reply begins in it
        self._bulk = -1  # bytes of the value that is being read; -1: a line is
        self._received = 0
        self._replies: list[Reply] = []
        self._wanted = 0
        self._answer: asyncio.Future[list[Reply]] | None = None
        self._why_closed = ""

    @classmethod
    async def connect(cls, address: RedisAddress) -> RedisConnection:
        """Connect and greet. Errors: OSError, RedisError; the deadline is the caller's."""
        loop = asyncio.get_running_loop()
        if address.path:
            _, connection = await loop.create_unix_connection(cls, address.path)
        else:
            _, connection = await loop.create_connection(cls, address.host, address.port, ssl=address.tls)
        for reply in await connection.ask(address.greeting):
            if isinstance(reply, Refusal):
                connection.close("refused")
                raise RedisError(reply.words)
        return connection

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return bool(self._why_closed)

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """The reply to each command, in one round trip. Errors: RedisError; then, and if given up, it is closed."""
        if self._why_closed or self._transport is None:
            raise RedisError(self._why_closed or "not connected")
        self._replies, self._wanted, self._received = [], len(commands), 0
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(b"".join(map(_written, commands)))
            return await self._answer
        except BaseException:
            self.close("given up")
            raise
        finally:
            self._answer = None

    def close(self, why: str = "closed") -> None:
        """Let go of the connection at once; what is still to come is not read."""
        self._why_closed = self._why_closed or why
        if self._transport is not None:
            self._transport.abort()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(RedisError(self._why_closed))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's is, without being its subclass

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        self.close(f"the connection broke ({error})" if error else "the server closed the connection")

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._received += len(data)
        if self._answer is None or self._answer.done():
            self.close("said something without being asked")
        elif self._received > MAX_ANSWER_BYTES:
            self.close(f"an answer of more than {MAX_ANSWER_BYTES:,} bytes")
        else:
            self._unread += data
            self._read()

    def _read(self) -> None:
        """Take the replies that are there whole. Each byte is looked at once, however slowly they come."""
        while len(self._replies) < self._wanted and not self._why_closed and self._read_one():
            pass
        if len(self._replies) < self._wanted or self._why_closed:
            return
        if self._at < len(self._unread):
            self.close("said more than it was asked")
        elif self._answer is not None:
            self._unread.clear()
            self._at = 0
            self._answer.set_result(self._replies)

    def _read_one(self) -> bool:
        """Whether there was one more whole piece: a value, or a line."""
        if self._bulk >= 0:
            end = self._at + self._bulk
            if len(self._unread) < end + 2:
                return False
            self._replies.append(bytes(self._unread[self._at : end]))
            self._bulk, self._at = -1, end + 2
            return True
        end = self._unread.find(b"\r\n", self._at, self._at + MAX_LINE_BYTES)
        if end < 0:
            if len(self._unread) - self._at >= MAX_LINE_BYTES:
                self.close("does not speak as Redis does")
            return False
        line = bytes(self._unread[self._at : end])
        self._at = end + 2
        self._take(line)
        return True

    def _take(self, line: bytes) -> None:
        kind, rest = line[:1], line[1:]
        if kind in (b"+", b":"):
            self._replies.append(rest)
        elif kind == b"-":
            self._replies.append(Refusal(rest.decode("utf-8", "replace")))
        elif line == b"$-1":
            self._replies.append(None)
        elif kind == b"$" and rest.isdigit() and int(rest) <= MAX_REPLY_BYTES:
            self._bulk = int(rest)
        elif kind == b"$" and rest.isdigit():
            self.close(f"a value of more than {MAX_REPLY_BYTES:,} bytes")
        else:
            self.close("does not speak as Redis does")


def _tls(options: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if "ssl_certfile" in options:
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context


def _written(command: Command) -> bytes:
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in command)
