"""From a file of the old system to deck files, settings and a report: the part of an import that needs no database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rating_engine.importers.a2billing import A2Billing
from rating_engine.importers.astpp import Astpp
from rating_engine.importers.magnusbilling import MagnusBilling
from rating_engine.importers.model import Options
from rating_engine.importers.peer import Peer, Work
from rating_engine.importers.reading import OnRead, read_file
from rating_engine.importers.rejects import Rejects
from rating_engine.importers.report import Report
from rating_engine.importers.scratch import open_scratch
from rating_engine.importers.writing import WrittenTariff, write_report, write_settings, write_tariffs
from rating_engine.services.decks.file.rejects import rejected_path


class System(StrEnum):
    """What rate cards come from."""

    A2BILLING = "a2billing"
    MAGNUSBILLING = "magnusbilling"
    ASTPP = "astpp"


PEERS: Final[Mapping[System, Peer]] = MappingProxyType(
    {System.A2BILLING: A2Billing(), System.MAGNUSBILLING: MagnusBilling(), System.ASTPP: Astpp()}
)


@dataclass(frozen=True, slots=True)
class Migrated:
    """What came of a file. `rejected_file` is there if rows were rejected."""

    tariffs: list[WrittenTariff]
    report: Report
    directory: Path
    rejected: int
    rejected_file: Path | None


def migrate_file(
    system: System,
    path: Path,
    directory: Path,
    options: Options,
    *,
    on_read: OnRead = lambda read, rows: None,
    on_mapping: Callable[[], None] = lambda: None,
) -> Migrated:
    """Write the decks, `tariffs.json` and the report of a file into a directory, and its rejected rows beside it.

    `on_read`: is told bytes read so far, and rows since it was told last. Errors: DumpError, InvalidRequest.
    """
    peer, report = PEERS[system], Report()
    with open_scratch(peer.tables) as scratch:
        rejects = Rejects(rejected_path(path), scratch, report)
        source = read_file(path, peer, options, scratch, rejects, report, on_read)
        on_mapping()
        tariffs = write_tariffs(peer.tariffs(Work(scratch, options, report, rejects.add)), directory, report)
        rejects.write(source)
        write_settings(tariffs, directory)
        write_report(report, directory)
        return Migrated(tariffs, report, directory, rejects.count, rejects.path if rejects.count else None)
