"""Workbooks that no Excel saved: parts as a test wants them, packed cheaply however large they unpack."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SHEET = "xl/worksheets/sheet1.xml"
TEXTS = "xl/sharedStrings.xml"
BEGIN = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
END = b"</sheetData></worksheet>"
HEADER_ROW = (
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>Prefix</t></is></c>'
    b'<c r="B1" t="inlineStr"><is><t>Price</t></is></c></row>'
)
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_USUAL = {
    "_rels/.rels": f'<Relationships><Relationship Id="r1" Type="{_RELATIONS}/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns:r="{_RELATIONS}"><sheets><sheet name="Rates" sheetId="1" r:id="r1"/></sheets>'
    "</workbook>",
    "xl/_rels/workbook.xml.rels": f'<Relationships><Relationship Id="r1" Type="{_RELATIONS}/worksheet"'
    f' Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{_RELATIONS}/sharedStrings"'
    ' Target="sharedStrings.xml"/></Relationships>',
}


@dataclass(frozen=True)
class Repeated:
    """`before`, then `body` so many `times`, then `after`; packed once, whatever it comes to.

    Its checksum is wrong: readers see that last, long after whatever they should have refused.
    """

    before: bytes
    body: bytes
    times: int
    after: bytes = b""


def sheet(rows: bytes) -> bytes:
    """A sheet with a header and these rows."""
    return BEGIN + HEADER_ROW + rows + END


def forge(path: Path, parts: Mapping[str, bytes | Repeated], *, flags: int = 0) -> Path:
    """A workbook whose parts are these; the usual ones where they are not named."""
    whole: dict[str, bytes | Repeated] = {name: text.encode() for name, text in _USUAL.items()}
    whole.update(parts)
    directory, data = b"", b""
    for name, content in whole.items():
        packed, size = _packed(content)
        checksum = zlib.crc32(content) if isinstance(content, bytes) else 0
        fields = struct.pack("<HHHHHIII", 20, flags, 8, 0, 0, checksum, len(packed), size)
        directory += b"PK\1\2" + struct.pack("<H", 20) + fields
        directory += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, len(data)) + name.encode()
        data += b"PK\3\4" + fields + struct.pack("<HH", len(name), 0) + name.encode() + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(whole), len(whole), len(directory), len(data), 0)
    path.write_bytes(data + directory + b"PK\5\6" + end)
    return path


def _packed(content: bytes | Repeated) -> tuple[bytes, int]:
    """Deflated, and its size."""
    if isinstance(content, bytes):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(content) + packer.flush(), len(content)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    before = packer.compress(content.before) + packer.flush(zlib.Z_FULL_FLUSH)
    body = packer.compress(content.body) + packer.flush(zlib.Z_FULL_FLUSH)
    after = packer.compress(content.after) + packer.flush()
    size = len(content.before) + len(content.body) * content.times + len(content.after)
    return before + body * content.times + after, size
