"""SMPP 3.4 on the wire, as far as a client that sends and receives SMS needs it. Pure.

Laws: what is read is within its PDU, or InvalidPdu says so; nothing longer than MAX_PDU is asked for. Source: SMPP
protocol specification v3.4, issue 1.2 (sections 4 and 5); parts are joined by 3GPP TS 23.040, 9.2.3.24.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from rating_engine.domain.sms_text import Encoding, septets_of, text_of_septets

GENERIC_NACK: Final = 0x80000000
SUBMIT_SM: Final = 0x00000004
DELIVER_SM: Final = 0x00000005
UNBIND: Final = 0x00000006
BIND_TRANSCEIVER: Final = 0x00000009
ENQUIRE_LINK: Final = 0x00000015
RESPONSE: Final = 0x80000000  # of a command: its number with this bit

OK: Final = 0x00
WRONG_LENGTH: Final = 0x01
UNKNOWN_COMMAND: Final = 0x03
WRONG_DESTINATION: Final = 0x0B
QUEUE_FULL: Final = 0x14
THROTTLED: Final = 0x58
TRY_LATER: Final = 0x64  # ESME_RX_T_APPN
REFUSED: Final = 0x65  # ESME_RX_P_APPN

MAX_PDU: Final = 65_536
HEAD: Final = struct.Struct("!IIII")
VERSION: Final = 0x34
UDH: Final = 0x40  # of esm_class: the text begins with a header
RECEIPT_MASK: Final = 0x3C
RECEIPT: Final = 0x04
UCS2: Final = 0x08  # of data_coding; 0 is the alphabet of the carrier, which is the GSM one
LATIN: Final = (0x01, 0x03)
MESSAGE_PAYLOAD: Final = 0x0424
RECEIPTED_ID: Final = 0x001E
MESSAGE_STATE: Final = 0x0427
STATES: Final = (
    "", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD",
)  # fmt: skip
CONCATENATED_8: Final = 0x00  # information elements of a header: with a reference of one octet, or of two
CONCATENATED_16: Final = 0x08
NUMBER_KIND: Final = bytes((1, 1))  # international, ISDN
NAME_KIND: Final = bytes((5, 0))  # letters


class InvalidPdu(ValueError):
    """What came is no PDU of this protocol."""


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU. `body`: behind the header."""

    command: int
    status: int
    sequence: int
    body: bytes = b""

    def encode(self) -> bytes:
        """As it is sent."""
        return HEAD.pack(HEAD.size + len(self.body), self.command, self.status, self.sequence) + self.body


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a deliver_sm brings: a text, or the receipt of one. `part`: reference, how many, the how manieth; None:
    whole.
    """

    sender: str
    recipient: str
    text: str
    is_receipt: bool
    receipt_id: str = ""
    receipt_state: str = ""
    part: tuple[int, int, int] | None = None


def bind(sequence: int, system_id: str, password: str, system_type: str = "") -> Pdu:
    """As a transceiver."""
    body = _text(system_id) + _text(password) + _text(system_type) + bytes((VERSION, 0, 0)) + _text("")
    return Pdu(BIND_TRANSCEIVER, OK, sequence, body)


def submit(
    sequence: int, *, sender: str, recipient: str, content: bytes, encoding: Encoding, udh: bool, receipt: bool
) -> Pdu:
    """One part of a message."""
    body = (
        _text("")
        + _address(sender)
        + _address(recipient)
        + bytes((UDH if udh else 0, 0, 0))
        + _text("")  # when: now
        + _text("")  # until: as the carrier has it
        + bytes((int(receipt), 0, UCS2 if encoding is Encoding.UCS2 else 0, 0, len(content)))
        + content
    )
    return Pdu(SUBMIT_SM, OK, sequence, body)


def contents(encoding: Encoding, parts: tuple[str, ...], reference: int) -> list[bytes]:
    """What the parts of a message carry, each of several with the header that joins them."""
    texts = [part.encode("utf-16-be") if encoding is Encoding.UCS2 else septets_of(part) for part in parts]
    if len(texts) == 1:
        return texts
    return [
        bytes((5, CONCATENATED_8, 3, reference & 0xFF, len(texts), place)) + text
        for place, text in enumerate(texts, start=1)
    ]


def read_head(head: bytes) -> tuple[int, int, int, int]:
    """Length of the body, command, status and sequence. Raises InvalidPdu."""
    length, command, status, sequence = HEAD.unpack(head)
    if not HEAD.size <= length <= MAX_PDU:
        raise InvalidPdu(f"a PDU of {length} bytes")
    return length - HEAD.size, command, status, sequence


def read_id(body: bytes) -> str:
    """What a carrier calls the message that it has taken. Raises InvalidPdu."""
    return _read_text(body, 0)[0]


def read_delivered(body: bytes) -> Delivered:
    """Raises InvalidPdu."""
    try:
        return _read_delivered(body)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise InvalidPdu(f"a deliver_sm that ends too early: {type(error).__name__}") from None


def _read_delivered(body: bytes) -> Delivered:
    _, at = _read_text(body, 0)  # the service
    sender, at = _read_text(body, at + 2)
    recipient, at = _read_text(body, at + 2)
    esm_class, at = body[at], at + 3
    _, at = _read_text(body, at)
    _, at = _read_text(body, at)
    coding, size, at = body[at + 2], body[at + 4], at + 5
    content, fields = body[at : at + size], _fields(body, at + size)
    if len(content) != size:
        raise InvalidPdu("a deliver_sm whose text ends too early")
    content = content or fields.get(MESSAGE_PAYLOAD, b"")
    part = None
    if esm_class & UDH and content:
        header, content = content[1 : 1 + content[0]], content[1 + content[0] :]
        part = _part_of(header)
    text = _decoded(coding, content)
    if esm_class & RECEIPT_MASK != RECEIPT:
        return Delivered(sender, recipient, text, is_receipt=False, part=part)
    told = dict(pair.partition(":")[::2] for pair in text.split() if ":" in pair)
    receipt_id = fields.get(RECEIPTED_ID, b"").rstrip(b"\0").decode("latin-1") or told.get("id", "")
    number = fields.get(MESSAGE_STATE, b"\0")[0]
    state = (STATES[number] if number < len(STATES) else "") or told.get("stat", "")
    return Delivered(sender, recipient, text, is_receipt=True, receipt_id=receipt_id, receipt_state=state)


def _part_of(header: bytes) -> tuple[int, int, int] | None:
    """Of the information elements of a header the one that joins parts."""
    at = 0
    while at + 2 <= len(header):
        kind, size = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + size]
        if kind == CONCATENATED_8 and size == 3:
            return value[0], value[1], value[2]
        if kind == CONCATENATED_16 and size == 4:
            return value[0] << 8 | value[1], value[2], value[3]
        at += 2 + size
    return None


def _decoded(coding: int, content: bytes) -> str:
    if coding == UCS2:
        return content.decode("utf-16-be", "replace")
    if coding in LATIN:
        return content.decode("latin-1")
    return text_of_septets(content)


def _fields(body: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + 4 <= len(body):
        tag, size = struct.unpack_from("!HH", body, at)
        found[tag] = body[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def _text(text: str) -> bytes:
    return text.encode("ascii", "replace") + b"\0"


def _address(text: str) -> bytes:
    return (NUMBER_KIND if text.isdigit() else NAME_KIND) + _text(text)


def _read_text(body: bytes, at: int) -> tuple[str, int]:
    end = body.find(b"\0", at)
    if end < 0:
        raise InvalidPdu("a text without its end")
    return body[at:end].decode("latin-1"), end + 1
