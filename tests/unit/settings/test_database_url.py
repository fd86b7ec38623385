"""URLs of databases as people write them: what is wrong is said in one line, and no part of a password is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.settings.sources import SettingsError, load_settings

SECRET = "hunter2"


def fault(url: str, key: str = "database_url") -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ={f"RATING_{key.upper()}": url})
    [line] = str(refused.value).splitlines()
    return line


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://engine:p/{SECRET}@db.example/rating",
        f"postgresql://engine:p#{SECRET}@db.example/rating",
        f"postgresql://engine:p?{SECRET}@db.example/rating",
        f"postgresql://engine:12/{SECRET}@db.example:5432/rating",
        f"postgresql://engine:12#{SECRET}@db.example:5432/rating",
        f"postgresql://engine:12?{SECRET}@db.example:5432/rating",
        f"postgresql://engine:{SECRET}/@db.example/rating",
        f"postgresql://engine:{SECRET}#@db.example/rating",
        f"postgresql://engine:[{SECRET}@db.example/rating",
        f"postgresql://engine:{SECRET}℀@db.example/rating",
        f"postgresql://engine:{SECRET}@db.example:port/rating",
        f"postgresql://engine:{SECRET}@db.example:99999/rating",
        f"postgresql://engine:{SECRET}@db.example:0/rating",
        f"postgresql://engine:{SECRET}@one:5432,two:x/rating",
        f"postgresql://engine:{SECRET}@db.example/rating?port=x",
        f"postgresql://engine:{SECRET} or so@db.example:port/rating",
        f"postgresql://engine:'{SECRET}@db.example:port/rating",
        f"mysql://engine:{SECRET}@db.example/rating",
        f"postgresql://db.example:x/rating?user=engine&password={SECRET}",
        f"postgresql://db.example:x/rating?password={SECRET}@",
    ],
)
def test_a_wrong_url_is_one_line_without_its_password(url):
    line = fault(url)

    assert line.startswith("environment RATING_DATABASE_URL: database_url: ")
    assert SECRET not in line


@pytest.mark.parametrize("url", [f"redis://u:p/{SECRET}@h/0", f"redis://u:[{SECRET}@h/0", f"redis://u:{SECRET}@h:x/0"])
def test_so_is_a_wrong_url_of_redis(url):
    assert SECRET not in fault(url, "redis_url")


def test_the_line_says_how_a_password_is_written():
    assert "%2F" in fault(f"postgresql://engine:p/{SECRET}@db.example/rating")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://engine:p%2Fw%23@db.example:5432/rating",
        "postgresql://engine:p@w@db.example/rating",
        "postgresql://db.example/rating?user=engine&password=p%40w",
        "postgresql://[::1]:5432/rating",
        "postgresql://one:5432,two:5432/rating?target_session_attrs=read-write",
        "postgresql:///rating?host=/var/run/postgresql&port=5433",
        "postgresql://engine@/rating?host=one,two&port=5432,5433",
    ],
)
def test_a_right_url_is_taken_as_it_is(url):
    assert load_settings(environ={"RATING_DATABASE_URL": url}).database_url == url


def test_a_file_says_so_too(tmp_path: Path):
    file = tmp_path / "engine.toml"
    file.write_text(f'database_url = "postgresql://engine:p/{SECRET}@db.example/rating"\n')

    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    assert SECRET not in str(refused.value)
