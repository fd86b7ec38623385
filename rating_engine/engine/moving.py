"""Data of the embedded PostgreSQL as a file of SQL, and such a file put into another server: by PostgreSQL's own tools.

Laws: a file is there whole or not at all; it is put into an empty database in one transaction; no password stands in a
command line. The tools are those of the wheel, so that nothing has to be installed, and no two versions meet.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from rating_engine.embedded.errors import EmbeddedError
from rating_engine.embedded.programs import installed_programs
from rating_engine.storage.totals import tables_at

__all__ = ["dump", "first_line", "restore", "tables_at"]

# Servers before 17 do not know it, and a file that is read by its owner needs no limit.
_NOT_EVERYWHERE: Final = (b"SET transaction_timeout = 0;",)
_SAID_BYTES: Final = 2_000  # of what a program says that failed


def dump(database_url: str, file: Path, header: str) -> None:
    """Write a database to a file of SQL, behind a line of comment. Errors: EmbeddedError, with what pg_dump says."""
    part = file.with_name(file.name + ".part")
    command = _program("pg_dump", database_url, ["--no-owner", "--no-privileges", "--encoding=UTF8"])
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(f"-- {header}\n".encode())
            with subprocess.Popen(
                command, env=_environment(database_url), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as program:
                assert program.stdout is not None
                assert program.stderr is not None
                for line in program.stdout:
                    if line.rstrip() not in _NOT_EVERYWHERE:
                        stream.write(line)
                said = program.stderr.read()
            if program.returncode:
                raise EmbeddedError(f"pg_dump: {said[-_SAID_BYTES:].decode(errors='replace').strip()}")
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except OSError as error:
        raise EmbeddedError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def first_line(file: Path) -> str:
    """What stands in the comment before the SQL. Errors: EmbeddedError where the file cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.readline(100_000).decode(errors="replace").removeprefix("-- ").strip()
    except OSError as error:
        raise EmbeddedError(f"{file}: {error.strerror or error}") from error


def restore(database_url: str, file: Path) -> None:
    """Run a file of SQL in one transaction. Errors: EmbeddedError, with what psql says; then nothing was done."""
    flags = ["--no-psqlrc", "--quiet", "--output=/dev/null", "-v", "ON_ERROR_STOP=1"]
    for more in (["--single-transaction", "-f", str(file)], ["-c", "ANALYZE"]):
        command = [*_program("psql", database_url, flags), *more]
        done = subprocess.run(command, env=_environment(database_url), capture_output=True, check=False)
        if done.returncode:
            raise EmbeddedError(f"psql: {done.stderr[-_SAID_BYTES:].decode(errors='replace').strip()}")


def _program(name: str, database_url: str, flags: Sequence[str]) -> list[str]:
    """A program of the wheel on a database; its URL without the password, which all on the machine could read."""
    parts = urlsplit(database_url)
    user, _, hosts = parts.netloc.rpartition("@")
    named = f"{user.partition(':')[0]}@{hosts}" if user else hosts
    url = urlunsplit(parts._replace(netloc=named))
    return [str(installed_programs().postgres_bin / name), *flags, "--dbname", url]


def _environment(database_url: str) -> dict[str, str]:
    """This process's environment, with the password; messages as they are in English."""
    user = urlsplit(database_url).netloc.rpartition("@")[0]
    password = unquote(user.partition(":")[2])
    own = {"PGPASSWORD": password} if password else {}
    return {**os.environ, **own, "LC_ALL": "C", "PGCLIENTENCODING": "UTF8"}
