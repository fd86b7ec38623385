"""Where a spool lies: one directory a database, whoever connects to it and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.settings.spool_directory import spool_directory

URL = "postgresql://engine:secret@db1:5432,db2:5432/rating?target_session_attrs=read-write"


def test_a_directory_that_is_named_is_taken_as_it_is() -> None:
    assert spool_directory("/var/spool/rating", URL) == Path("/var/spool/rating")
    assert spool_directory("~/spool", URL) == Path.home() / "spool"


@pytest.mark.parametrize(
    "same",
    [
        "postgresql://other:password@db1:5432,db2:5432/rating",
        "postgresql://db1:5432,db2:5432/rating?connect_timeout=3",
    ],
)
def test_user_password_and_options_do_not_matter(same: str) -> None:
    assert spool_directory("", same) == spool_directory("", URL)


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://engine:secret@db1:5433,db2:5432/rating",
        "postgresql://engine:secret@db1:5432/rating",
        "postgresql://engine:secret@db1:5432,db2:5432/other",
        "postgresql:///rating?host=db1",
        "postgresql:///rating?host=db2",
        "",
    ],
)
def test_another_database_has_another_directory(other: str) -> None:
    urls = [URL, "postgresql:///rating?host=db3", other]

    assert len({spool_directory("", url) for url in urls}) == 3


def test_the_directory_does_not_give_the_password_away() -> None:
    assert "secret" not in str(spool_directory("", URL))
