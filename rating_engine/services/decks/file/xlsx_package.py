"""An XLSX file as an archive of XML parts, unpacked in pieces and within limits.

Laws: nothing is believed of what the archive says of its own sizes, nothing is unpacked that is not read, and no part
is held whole. Document types are refused, and with them every entity that XML could make grow.
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from xml.parsers import expat

from rating_engine.services.decks.file import limits
from rating_engine.services.decks.file.errors import DeckFileError

_ENCRYPTED: Final = 0x1
_DAMAGED: Final = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, expat.ExpatError),
    *(OSError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError),
)

Attributes = dict[str, str]
OnStart = Callable[[str, Attributes], None]
OnEnd = Callable[[str], None]
OnText = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Related:
    """A part that another one names: its kind (`worksheet`, `styles` ...) and its name in the archive."""

    kind: str
    part: str


class Package:
    """An open archive."""

    def __init__(self, path: Path) -> None:
        """Raises DeckFileError: unreadable, no such archive, encrypted, or with more parts than any workbook."""
        self._path = path
        with self._errors():
            self._file = _Bounded(path)
            try:
                self._archive = zipfile.ZipFile(self._file)
            except BaseException:
                self._file.close()
                raise
        self._infos = {info.filename: info for info in self._archive.infolist()}
        if len(self._archive.infolist()) > limits.MAX_PARTS:
            self.close()
            raise DeckFileError(f"{path} has more than {limits.MAX_PARTS:,} parts: it is no workbook")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()
        self._file.close()

    def has(self, part: str) -> bool:
        """Whether there is such a part."""
        return part in self._infos

    def size(self, part: str) -> int:
        """Of a part, unpacked, as the archive says."""
        return self._infos[part].file_size

    def related(self, part: str) -> dict[str, Related]:
        """The parts that a part names, by its ids for them; '' names the parts of the whole."""
        directory, name = posixpath.split(part)
        relations = posixpath.join(directory, "_rels", f"{name}.rels")
        found: dict[str, Related] = {}

        def start(element: str, attributes: Attributes) -> None:
            if element == "Relationship" and attributes.get("TargetMode") != "External":
                target = attributes.get("Target", "")
                target = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(directory, target))
                found[attributes.get("Id", "")] = Related(attributes.get("Type", "").rpartition("/")[2], target)

        if self.has(relations):
            for _ in self.parse(relations, limits.MAX_PART_BYTES, start):
                pass
        return found

    def parse(
        self, part: str, limit: int, start: OnStart, end: OnEnd | None = None, text: OnText | None = None
    ) -> Iterator[int]:
        """Read a part of at most `limit` bytes: how many of them were read, piece by piece.

        `start` is told of each element by its local name, `end` of its end. Raises DeckFileError.
        """
        with self._errors():
            info = self._infos[part]
            self._check(info, limit)
            parser = _parser(self._path, start, end, text)
            read = 0
            with self._archive.open(info) as file:
                while data := file.read(limits.PIECE_BYTES):
                    read += len(data)
                    if read > limit:  # more than the archive said
                        raise self._too_large(part, limit)
                    parser.Parse(data, False)
                    if read - parser.CurrentByteIndex > limits.MAX_TAG_BYTES + len(data):
                        raise DeckFileError(
                            f"{self._path}: {part} has a tag of more than {limits.MAX_TAG_BYTES:,} bytes"
                        )
                    if len(parser.intern) > limits.MAX_NAMES:
                        raise DeckFileError(
                            f"{self._path}: {part} has more than {limits.MAX_NAMES:,} names of elements"
                        )
                    yield read
                parser.Parse(b"", True)

    def _check(self, info: zipfile.ZipInfo, limit: int) -> None:
        """Whether a part may be unpacked, before it is."""
        if info.flag_bits & _ENCRYPTED:
            raise DeckFileError(f"{self._path} has a password: save it without one")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DeckFileError(f"{self._path} is not packed as workbooks are: save it anew with Excel, or as CSV")
        if info.file_size > limit:
            raise self._too_large(info.filename, limit)
        if info.file_size > max(limits.ALWAYS_UNPACKED, limits.MAX_TIMES_PACKED * info.compress_size):
            raise DeckFileError(
                f"{self._path}: {info.filename} would unpack to {info.file_size:,} bytes, more than"
                f" {limits.MAX_TIMES_PACKED} times its size: it is no sheet that Excel saved"
            )

    def _too_large(self, part: str, limit: int) -> DeckFileError:
        return DeckFileError(
            f"{self._path} is too large for a workbook: {part} unpacks to more than {limit:,} bytes. Save the sheet as"
            " CSV and import that"
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            said = str(error) or type(error).__name__
            raise DeckFileError(f"{self._path} cannot be read as an Excel workbook ({said[:200]})") from error


class _Bounded(io.FileIO):
    """The file, of which no more than the largest directory is read at once."""

    def read(self, size: int | None = -1) -> bytes:
        limit = limits.MAX_DIRECTORY_BYTES
        data = super().read(limit + 1 if size is None or size < 0 else min(size, limit + 1)) or b""
        if len(data) > limit:
            raise zipfile.BadZipFile(f"a directory of more than {limit:,} bytes")
        return data


def _parser(path: Path, start: OnStart, end: OnEnd | None, text: OnText | None) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    depth = 0

    def on_start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > limits.MAX_DEPTH:
            raise DeckFileError(f"{path} has elements within each other, more than {limits.MAX_DEPTH} deep")
        start(name.rpartition(" ")[2], attributes)

    def on_end(name: str) -> None:
        nonlocal depth
        depth -= 1
        if end is not None:
            end(name.rpartition(" ")[2])

    def refuse(*_: object) -> None:
        raise DeckFileError(f"{path} declares a document type, as no workbook does: it is not read")

    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    if text is not None:
        parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    return parser
