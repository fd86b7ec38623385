"""What a command says about settings that are wrong, and about servers that are not there. Never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import Commands
from tests.support.servers import free_port


@pytest.fixture
def cli(tmp_path: Path) -> Commands:
    """Commands without any settings, whose embedded data is in an empty directory."""
    return Commands(tmp_path, embedded_data_dir=tmp_path / "data")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"foo": 1}, "environment RATING_FOO: foo: no such setting"),
        ({"database_timeout_ms": 5}, "its unit is seconds, so it is called database_timeout_seconds"),
        ({"redis_timeout_ms": "50ms"}, "must be a whole number of milliseconds from 1 to 5000, without the unit"),
        ({"fastagi_port": 70000}, "environment RATING_FASTAGI_PORT: fastagi_port: must be a whole number from 0 to"),
        ({"database_url": "mysql://db/x"}, "must be a URL that begins with postgresql://"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_named_with_what_is_expected(cli, settings, said):
    assert said in cli.refused("account", "show", "1001", **settings)


def test_an_unknown_key_of_the_file_is_named_with_its_file(cli):
    file = cli.directory / "engine.toml"
    file.write_text("fastagi_prot = 4573\n")

    said = cli.refused("serve", "--config", file)

    assert said == f"file {file}: fastagi_prot: no such setting; did you mean fastagi_port?"


def test_flags_go_over_the_environment_and_the_environment_over_the_file(cli):
    file = cli.directory / "engine.toml"
    file.write_text(f'database_url = "postgresql://file@127.0.0.1:{free_port()}/x"\nworkers = 0\n')

    said = cli.refused("serve", "--config", file)
    assert f"file {file}: workers" in said
    said = cli.refused("serve", "--config", file, workers=99)
    assert "environment RATING_WORKERS: workers" in said
    said = cli.refused("serve", "--config", file, "--workers", 99)
    assert "flag --workers: workers" in said


@pytest.mark.parametrize(
    "command", [["account", "show", "1001"], ["doctor"], ["rates", "list"], ["migrate"], ["serve"]], ids=" ".join
)
def test_without_a_database_a_command_says_how_to_name_one(cli, command):
    said = cli.refused(*command)

    assert "database_url is not set" in said
    assert "RATING_DATABASE_URL=postgresql://" in said


@pytest.mark.parametrize("command", [["account", "show", "1001"], ["doctor"], ["migrate"]], ids=" ".join)
def test_a_database_that_is_not_there_is_said_so_without_its_password(cli, command):
    url = f"postgresql://re:geheim@127.0.0.1:{free_port()}/re"

    said = cli.refused(*command, database_url=url)

    assert "PostgreSQL cannot be" in said
    assert "geheim" not in said


@pytest.mark.parametrize("command", [["account", "show", "1001"], ["migrate"]], ids=" ".join)
def test_a_wrong_password_is_said_in_one_line(cli, session_servers, command):
    user, _, place = session_servers.servers.database_url.rpartition("@")
    url = f"{user.rpartition(':')[0]}:wrong@{place}"

    assert "password authentication failed" in cli.refused(*command, database_url=url)


def test_a_call_to_an_engine_that_is_not_there_is_said_in_one_line(cli):
    port = free_port()

    said = cli.refused("call", "--login", "1001", "4930123456", "--seconds", "10", fastagi_port=port)

    assert f"127.0.0.1:{port} is not reachable" in said


def test_a_missing_option_is_named_and_is_a_usage_error(cli):
    done = cli.run("account", "create", "--login", "1001")

    assert done.returncode == 2  # usage, as every Unix command says it
    assert "--tariff" in done.stderr
    assert "Traceback" not in done.stderr
