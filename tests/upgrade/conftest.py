"""The old release, unpacked once, and a database as it made it."""

from __future__ import annotations

import pytest

from tests.upgrade.old_release import OldRelease, make_schema, unpack


@pytest.fixture(scope="session")
def old_release(tmp_path_factory: pytest.TempPathFactory) -> OldRelease:
    """The code of the release before this one."""
    return unpack(tmp_path_factory.mktemp("old"))


@pytest.fixture
async def old_database_url(empty_database_url: str) -> str:
    """A database with the schema of version 1, and nothing in it."""
    await make_schema(empty_database_url)
    return empty_database_url
