"""The release before this one, as it was: its code out of the project's history, its schema, and data that it wrote."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

PROJECT = Path(__file__).parents[2]
COMMIT = "406e063"  # the last one whose schema was version 1
PARTS = ("rating_engine", "agi", "schema.sql", "tests/__init__.py", "tests/support")
SCHEMA = Path(__file__).with_name("schema_406e063.sql")
REQUIRED = "REQUIRE_HISTORY"  # set where the history must be there, as in CI: then its absence fails
SCRIPT_SECONDS = 60


@dataclass(frozen=True)
class OldRelease:
    """Its code, unpacked in `directory`; run by this Python, with the libraries of this version."""

    directory: Path

    @property
    def program(self) -> tuple[str, ...]:
        """What stands before the arguments of its command line."""
        return self._python("from rating_engine.cli import main; main()")

    def run(self, script: Path, *arguments: str) -> None:
        """Run a script whose imports are of that release. AssertionError with its output if it fails."""
        command = self._python(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')")
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=SCRIPT_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr

    def _python(self, code: str) -> tuple[str, ...]:
        return (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(self.directory)!r}); {code}")


def unpack(directory: Path, commit: str = COMMIT) -> OldRelease:
    """A commit's code, from the history of this checkout. Skips where there is none and none is required."""
    command = ["git", "archive", "--format=tar", commit, *PARTS]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    if done.returncode != 0:
        problem = f"the code of {commit} is not in this checkout: {done.stderr.decode().strip()}"
        assert not os.environ.get(REQUIRED), problem
        pytest.skip(problem)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return OldRelease(directory)


async def make_schema(url: str) -> None:
    """The schema of version 1, as that release made it in an empty database."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE schema_version (version integer NOT NULL)")
        await connection.execute("INSERT INTO schema_version VALUES (1)")
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
    finally:
        await connection.close()
