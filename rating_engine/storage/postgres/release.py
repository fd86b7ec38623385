"""The schema as a release brings it: schema.sql in its two parts, the steps that lead to it, what the last one needs.

schema.sql is tables first, then, behind MARK, functions, types and triggers, which hold no data and are run whole at
every migrate. Law: part two may be run again over itself: functions and triggers are CREATE OR REPLACE, and a type is
named by its shape and never changed, because engines that run hold statements prepared with it.

A step is `migrations/NNNN_what.sql`, which takes a database from version NNNN - 1 to NNNN. Its first lines may say:

    -- mode: transaction     (the default) all of it or nothing, with a limit on the wait for locks
    -- mode: statements      each statement by itself, outside a transaction (CREATE INDEX CONCURRENTLY); repeatable
    -- mode: batches         one statement that changes some rows, again and again until it changes none
    -- total: SELECT …       of batches: about how many rows there are, for the progress that is shown
    -- with functions        part two comes into force in the same transaction: the moment of the change-over
    -- for functions         part two names what this step makes. It may be run over itself (IF NOT EXISTS): where an
                             old database changes over, it is run before the functions, and once more in its turn

`migrations/previous/NNNN.sql` is what engines of schema version NNNN need beside that, as long as they may still run;
`NNNN_drop.sql` takes it away.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

MARK: Final = "-- ==== functions and types: run whole at every migrate ===="
FIRST_VERSION: Final = 1  # what schema.sql was before the first step

_STEP_FILE: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_KEPT_FILE: Final = re.compile(r"(\d{4})\.sql")
_DROP_FILE: Final = re.compile(r"(\d{4})_drop\.sql")
_DIRECTIVE: Final = re.compile(r"^-- (mode|total): (.+)$", re.MULTILINE)
_WITH_FUNCTIONS: Final = re.compile(r"^-- with functions$", re.MULTILINE)
_FOR_FUNCTIONS: Final = re.compile(r"^-- for functions$", re.MULTILINE)
# What may hold a semicolon that ends nothing; and those that end a statement.
_TOKEN: Final = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|(\$\w*\$).*?\1|(;)", re.DOTALL)
_COMMENT_OR_BLANK: Final = re.compile(r"--[^\n]*|/\*.*?\*/|\s+", re.DOTALL)
_NAMED: Final = re.compile(r"\bCREATE OR REPLACE (FUNCTION|TRIGGER) (\w+)")


class Mode(StrEnum):
    """How a step is run."""

    TRANSACTION = "transaction"
    STATEMENTS = "statements"
    BATCHES = "batches"


@dataclass(frozen=True, slots=True)
class Step:
    """One file that changes tables. `total`: a question for about how many rows a step in batches has."""

    version: int
    name: str
    sql: str
    mode: Mode = Mode.TRANSACTION
    total: str | None = None
    with_functions: bool = False
    for_functions: bool = False

    @classmethod
    def parse(cls, version: int, name: str, sql: str) -> Step:
        """The step of a file's name and text. ValueError for a mode that is none."""
        given = dict(_DIRECTIVE.findall(sql))
        mode = Mode(given.get("mode", Mode.TRANSACTION))
        with_functions, for_functions = (said.search(sql) is not None for said in (_WITH_FUNCTIONS, _FOR_FUNCTIONS))
        return cls(version, name, sql, mode, given.get("total"), with_functions, for_functions)


@dataclass(frozen=True)
class Release:
    """What one release brings: the newest schema whole, the steps in order of their versions, and by the version of
    older engines what is kept for them, and what takes that away."""

    schema: str
    steps: Sequence[Step] = ()
    kept: Mapping[int, str] = field(default_factory=dict)
    dropped: Mapping[int, str] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """Of the tables that this release works with."""
        return self.steps[-1].version if self.steps else FIRST_VERSION

    @functools.cached_property
    def functions(self) -> str:
        """Part two of the schema. ValueError where MARK is not there once."""
        parts = self.schema.split(MARK)
        if len(parts) != 2:
            raise ValueError(f"schema.sql must have this line once: {MARK}")
        return parts[1]

    @functools.cached_property
    def checksum(self) -> str:
        """Tells one build's functions from another's."""
        return hashlib.sha256(self.functions.encode()).hexdigest()[:16]

    def names(self, kind: str) -> list[str]:
        """What part two makes of a kind (FUNCTION or TRIGGER), by name, each once."""
        return sorted(name for found, name in self._named if found == kind)

    @functools.cached_property
    def _named(self) -> frozenset[tuple[str, str]]:
        """Read once: a running engine asks every few seconds, between calls."""
        return frozenset(_NAMED.findall(self.functions))


@functools.cache
def shipped() -> Release:
    """The release that this program is."""
    migrations = files("rating_engine.storage.postgres") / "migrations"
    previous = migrations / "previous"
    steps = [Step.parse(version, name, sql) for (version, name), sql in _read(migrations, _STEP_FILE)]
    return Release(
        schema_sql(),
        sorted(steps, key=lambda step: step.version),
        kept={version: sql for (version,), sql in _read(previous, _KEPT_FILE)},
        dropped={version: sql for (version,), sql in _read(previous, _DROP_FILE)},
    )


def schema_sql() -> str:
    """The newest schema whole: packaged beside this package, or at the top of a source checkout."""
    packaged = files("rating_engine") / "schema.sql"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "schema.sql").read_text(encoding="utf-8")


def statements(sql: str) -> list[str]:
    """The statements of a text, without what only comments; semicolons in quotes and bodies end nothing."""
    found = []
    start = 0
    for token in _TOKEN.finditer(sql):
        if token[2]:
            found.append(sql[start : token.start()].strip())
            start = token.end()
    found.append(sql[start:].strip())
    return [text for text in found if _COMMENT_OR_BLANK.sub("", text)]


def _read(directory: Traversable, pattern: re.Pattern[str]) -> list[tuple[tuple[Any, ...], str]]:
    """The files whose names match, as (the groups of the name, the first as a number; the text)."""
    if not directory.is_dir():
        return []
    return [
        ((int(name[1]), *name.groups()[1:]), entry.read_text(encoding="utf-8"))
        for entry in directory.iterdir()
        if (name := pattern.fullmatch(entry.name))
    ]
