"""SIP messages and session descriptions, as much of them as a small phone needs: bytes in, values out, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TONES: Final = 0  # payload type of G.711 µ-law
DIGITS: Final = 101  # payload type of keys (RFC 4733)
_USER: Final = re.compile(r"sips?:([^@>;]*)@")
_URI: Final = re.compile(r"<([^>]+)>")
_TAG: Final = re.compile(r";tag=([^;>\s]+)")
_SOUND_TO: Final = re.compile(r"^m=audio (\d+) ", re.MULTILINE)


@dataclass(frozen=True)
class Message:
    """A request or an answer. Names of headers are in lower case."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Message:
        head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return cls(start, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs), body)

    def encode(self) -> bytes:
        """The bytes to send; the length of the body is added."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        lines += [f"content-length: {len(self.body)}", "", self.body]
        return "\r\n".join(lines).encode()

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]

    def get(self, name: str) -> str:
        """The first header of that name, "" where there is none."""
        return (self.all(name) or [""])[0]

    @property
    def status(self) -> int:
        """The code of an answer, 0 of a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of a request, or of the request that an answer belongs to."""
        return self.get("cseq").split()[1]


def user_of(text: str) -> str:
    """The user part of the address in a header or a request line."""
    found = _USER.search(text)
    return found.group(1) if found else ""


def uri_of(header: str) -> str:
    found = _URI.search(header)
    return found.group(1) if found else header.split(";")[0].strip()


def tag_of(header: str) -> str:
    found = _TAG.search(header)
    return found.group(1) if found else ""


def describe(port: int, direction: str = "sendrecv") -> str:
    """A session description: µ-law and keys at a port of loopback."""
    return "\r\n".join(
        [
            "v=0",
            f"o=phone {port} 1 IN IP4 127.0.0.1",
            "s=phone",
            "c=IN IP4 127.0.0.1",
            "t=0 0",
            f"m=audio {port} RTP/AVP {TONES} {DIGITS}",
            f"a=rtpmap:{TONES} PCMU/8000",
            f"a=rtpmap:{DIGITS} telephone-event/8000",
            f"a=fmtp:{DIGITS} 0-16",
            f"a={direction}",
            "",
        ]
    )


def sound_port(description: str) -> int | None:
    """Where the other side wants its sound; None: it says nothing of it."""
    found = _SOUND_TO.search(description)
    return int(found.group(1)) if found else None
