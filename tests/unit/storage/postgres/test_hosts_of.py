"""The hosts of a database URL."""

from __future__ import annotations

import pytest

from rating_engine.storage.postgres.connecting import hosts_of


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@one/db", [("one", None)]),
        ("postgresql://u:p@one:5433/db", [("one", 5433)]),
        ("postgresql://one:1,two:2/db?target_session_attrs=read-write", [("one", 1), ("two", 2)]),
        ("postgresql://u:p@one,two:2/db", [("one", None), ("two", 2)]),
        ("postgresql://u:p%40@[::1]:1,[fe80::2]/db", [("::1", 1), ("fe80::2", None)]),
        ("postgresql://u@%2Fvar%2Frun%2Fpostgresql/db", [("/var/run/postgresql", None)]),
        ("postgresql:///db?host=one,two&port=1,2", [("one", 1), ("two", 2)]),
        ("postgresql:///db?host=one,two&port=1", [("one", 1), ("two", 1)]),
        ("postgresql:///db", []),
        ("postgresql://one:port,two/db", []),
    ],
)
def test_each_host_with_its_port(url: str, hosts: list[tuple[str, int | None]]) -> None:
    assert hosts_of(url) == hosts
