"""A PostgreSQL primary and its synchronous standby, from the embedded wheel, that change places as often as asked."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from rating_engine.embedded import EmbeddedPostgres, EmbeddedServers
from rating_engine.embedded.programs import choose_identity
from tests.support.waiting import wait_until

STANDBY = "standby"  # as the primary knows it
BACKUP_SECONDS = 120.0

_IS_SYNCHRONOUS = (
    f"SELECT count(*) FROM pg_stat_replication WHERE application_name = '{STANDBY}' AND sync_state = 'sync'"
)


@dataclass
class Pair:
    """`primary` takes the writes, `standby` confirms each commit before it is answered."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres
    servers: EmbeddedServers
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def database(self) -> str:
        """The name of a new, empty database on both."""
        name = f"fault_{next(self._numbers)}"
        self.primary.psql(f"CREATE DATABASE {name}")
        return name

    def url(self, database: str, *hosts: str) -> str:
        """One URL for both, of which the one that takes writes is meant.

        `hosts` (host:port): by other ways than directly, which come in an order that says nothing about who is who.
        """
        ports = sorted((self.primary.port, self.standby.port))
        places = hosts or tuple(f"127.0.0.1:{port}" for port in ports)
        parts = urlsplit(self.primary.url(database))
        user, _, _ = parts.netloc.rpartition("@")
        netloc = f"{user}@{','.join(places)}"
        return urlunsplit(parts._replace(netloc=netloc, query="target_session_attrs=read-write"))

    def complete(self) -> None:
        """See to it that there are a primary and a standby that confirms its commits."""
        if not self.primary.running:
            self.primary.start()
        if not self.standby.running:
            self.make_standby()

    def make_standby(self) -> None:
        """Make the server that is down a copy of the primary, and the primary wait for it from now on."""
        self.primary.psql("ALTER SYSTEM RESET synchronous_standby_names")
        self.primary.psql("SELECT pg_reload_conf()")
        identity = choose_identity(self.servers.data_dir)
        directory = self.standby.directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        identity.own(directory)
        source = f"{self.primary.url()}?application_name={STANDBY}"
        backup = self.servers.postgres_bin / "pg_basebackup"
        identity.run([backup, "-d", source, "-D", directory, "-R", "-c", "fast"], seconds=BACKUP_SECONDS)
        self.standby.start()
        self.primary.psql(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
        self.primary.psql("SELECT pg_reload_conf()")
        wait_until(lambda: self.primary.psql(_IS_SYNCHRONOUS) == "1", "the standby confirms commits")

    def promote(self) -> None:
        """The standby is the primary from now on; the old one is down, as fencing has it, and may be made standby."""
        assert not self.primary.running
        self.standby.psql("SELECT pg_promote()")
        self.primary, self.standby = self.standby, self.primary


def make_pair(servers: EmbeddedServers) -> Pair:
    """The servers' PostgreSQL and a synchronous standby of it."""
    identity = choose_identity(servers.data_dir)
    place = servers.data_dir / "second"
    place.mkdir(mode=0o711)
    password = unquote(urlsplit(servers.database_url).password or "")
    second = EmbeddedPostgres(place / "postgresql", servers.postgres_bin, password=password, identity=identity)
    pair = Pair(servers.postgres, second, servers)
    pair.make_standby()
    return pair
