"""Rate cards of other systems as their dumps have them, and what an import makes of them, read back from its files."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rating_engine.importers.migrating import Migrated, System, migrate_file
from rating_engine.importers.model import Options
from rating_engine.rating.rate import Rate

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)

_WHOLES = ("interval_1", "interval_n", "free_seconds", "grace_period")
_TEXTS = ("price_1", "price_n", "price_unit", "connect_fee", "postcall_surcharge", "minimum_charge")


@dataclass(frozen=True)
class Deck:
    """A deck file that was written, with the settings of its tariff."""

    settings: dict[str, Any]
    rows: list[dict[str, str]]

    def row(self, prefix: str) -> dict[str, str]:
        (row,) = [row for row in self.rows if row["prefix"] == prefix]
        return row

    def rate(self, prefix: str) -> Rate:
        """The rate that calls to the prefix are charged by, once the tariff has its settings."""
        row = self.row(prefix)
        return Rate(
            **{name: row[name] for name in _TEXTS},
            **{name: int(row[name]) for name in _WHOLES},
            **(json.loads(row["extras"]) if row["extras"] else {}),
            decimals=self.settings["decimals"],
            increment_mode=self.settings["increment_mode"],
        )


@dataclass(frozen=True)
class Migration:
    """What came of a file."""

    done: Migrated
    decks: dict[str, Deck]

    @property
    def only(self) -> Deck:
        (deck,) = self.decks.values()
        return deck

    def count(self, code: str) -> int:
        return self.done.report.count(code)

    def rejected(self) -> list[dict[str, str]]:
        assert self.done.rejected_file is not None
        with self.done.rejected_file.open(encoding="utf-8-sig", newline="") as file:
            sample = file.read()
        delimiter = ";" if sample.split("\n", 1)[0].count(";") > sample.split("\n", 1)[0].count(",") else ","
        return list(csv.DictReader(sample.splitlines(), delimiter=delimiter))


def migrate(system: System, file: Path, **options: Any) -> Migration:
    """Import a file as a dry run, and read back what was written."""
    directory = file.parent / "out"
    done = migrate_file(system, file, directory, Options(**{"now": NOW, **options}))
    settings = json.loads((directory / "tariffs.json").read_text("utf-8"))["tariffs"]
    decks = {}
    for one in settings:
        with (directory / one["deck"]).open(encoding="utf-8", newline="") as deck:
            decks[one["tariff"]] = Deck(one, list(csv.DictReader(deck)))
    return Migration(done, decks)


def mysql_value(value: object) -> str:
    """A value as mysqldump writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    for plain, escaped in (("\\", "\\\\"), ("'", "\\'"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, escaped)
    return f"'{text}'"


def insert(table: str, *rows: Mapping[str, object]) -> str:
    """An INSERT with the names of its columns; all rows have those of the first."""
    columns = list(rows[0])
    values = ",".join(f"({','.join(mysql_value(row[name]) for name in columns)})" for row in rows)
    return f"INSERT INTO `{table}` ({', '.join(f'`{name}`' for name in columns)}) VALUES {values};\n"


def bare_insert(table: str, types: Mapping[str, str], *rows: Sequence[object]) -> str:
    """A table as mysqldump writes it: structure, then rows without the names of their columns."""
    columns = ",\n".join(f"  `{name}` {kind}" for name, kind in types.items())
    values = ",".join(f"({','.join(map(mysql_value, row))})" for row in rows)
    return (
        f"DROP TABLE IF EXISTS `{table}`;\n"
        f"/*!40101 SET @saved_cs_client     = @@character_set_client */;\n"
        f"CREATE TABLE `{table}` (\n{columns},\n  PRIMARY KEY (`id`),\n  KEY `some` (`id`)\n) ENGINE=InnoDB"
        f" AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4 COMMENT='a; b';\n"
        f"LOCK TABLES `{table}` WRITE;\n"
        f"INSERT INTO `{table}` VALUES {values};\n"
        f"UNLOCK TABLES;\n"
    )


PLAN = {"id": 1, "tariffname": "retail", "id_trunk": 1, "calleridprefix": "all", "dnidprefix": "all"}


def card(**columns: object) -> dict[str, object]:
    """A row of cc_ratecard of A2Billing with the defaults of its table."""
    return {
        "id": 1,
        "idtariffplan": 1,
        "dialprefix": "49",
        "destination": 49,
        "rateinitial": "0.60000",
        "initblock": 0,
        "billingblock": 0,
        "connectcharge": "0.00000",
        "disconnectcharge": "0.00000",
        **{f"{name}{x}": 0 for x in "abc" for name in ("stepcharge", "charge", "timecharge", "billingblock")},
        "startdate": "2020-01-01 00:00:00",
        "stopdate": None,
        "starttime": 0,
        "endtime": 10079,
        "id_trunk": -1,
        "buyrate": "0.10000",
        "buyrateinitblock": 0,
        "buyrateincrement": 0,
        "rounding_calltime": 0,
        "rounding_threshold": 0,
        "additional_block_charge": 0,
        "additional_block_charge_time": 0,
        "additional_grace": 0,
        "minimal_cost": 0,
        "disconnectcharge_after": 0,
        "announce_time_correction": "1.000",
        **columns,
    }
