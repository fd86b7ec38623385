"""`rating-engine serve` and `migrate`: the engine itself."""

from __future__ import annotations

import asyncio
import errno
import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer
import uvloop

from rating_engine.cli.common import (
    CommandError,
    ConfigOption,
    embedded_data_dir,
    load_settings,
    reported_errors,
    run,
    say,
    working_services,
    write_running,
)
from rating_engine.cli.terminal import err
from rating_engine.embedded import EmbeddedServers
from rating_engine.engine.calling import inherited_calls
from rating_engine.engine.services import MigrationReport, migrate_database
from rating_engine.process.notify import (
    ALIVE,
    BEAT_SECONDS,
    STOPPING,
    beat,
    notify_supervisor,
    notify_systemd,
    watchdog_seconds,
)
from rating_engine.process.sockets import Listeners, activated_sockets
from rating_engine.process.supervisor import run_workers
from rating_engine.process.takeover import Entrance, open_entrance
from rating_engine.settings.model import Settings
from rating_engine.settings.sources import LISTENERS_VARIABLE, WORKER_VARIABLE
from rating_engine.telemetry.logs import LineOutput, configure_logging
from rating_engine.telemetry.sharing import SHARED_DIRECTORY_VARIABLE, share_between_workers

# A call makes some hundred objects and next to no cycles: with Python's 700 a collection would come every few calls.
GARBAGE_THRESHOLDS: Final = (20_000, 20, 50)

_log = structlog.get_logger(__name__)


def serve(
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Bring PostgreSQL and Valkey along, and keep their data.")
    ] = False,
    takeover: Annotated[
        bool,
        typer.Option(
            "--takeover",
            help="Replace the engine that has the ports now, if one has, without losing a call: it gives its ports to"
            " this one, then finishes what it has begun and ends.",
        ),
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that share the ports; one per core.")] = None,
    fastagi_host: Annotated[str | None, typer.Option(help="Where Asterisk connects; default 127.0.0.1.")] = None,
    fastagi_port: Annotated[int | None, typer.Option(help="Default 4573.")] = None,
    http_host: Annotated[str | None, typer.Option(help="Where metrics are read; default 127.0.0.1.")] = None,
    http_port: Annotated[int | None, typer.Option(help="Default 8080.")] = None,
    config: ConfigOption = None,
) -> None:
    """Serve FastAGI and HTTP until SIGTERM, then drain: finish what runs, take nothing new."""
    flags = {
        "workers": workers,
        "fastagi_host": fastagi_host,
        "fastagi_port": fastagi_port,
        "http_host": http_host,
        "http_port": http_port,
    }
    with reported_errors():
        settings = load_settings(config, **flags)
        if embedded and takeover:
            raise CommandError("--takeover: the servers of an embedded engine end with it; give both a database_url")
        if embedded:
            status = _serve_embedded(settings, config, flags)
        elif not settings.database_url:
            raise CommandError(
                "database_url is not set: say RATING_DATABASE_URL=postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
                "or try `rating-engine serve --embedded`"
            )
        else:
            status = _serve(settings, environment_of(settings), takeover=takeover)
    raise typer.Exit(status)


def migrate(
    drop_previous: Annotated[
        bool,
        typer.Option(
            "--drop-previous",
            help="Also take away what only engines of the last release need. Say it when none of them runs any more:"
            " they decline every call from then on.",
        ),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Create or upgrade the schema while engines serve calls; safe to repeat, and to run from two machines at once."""
    with reported_errors():
        settings = load_settings(config)
        if not settings.database_url:
            raise CommandError("database_url is not set: say RATING_DATABASE_URL=postgresql://…")
    report = run(migrate_database(settings.database_url, drop_previous=drop_previous, on_progress=say))
    say(_migrated(report))
    if report.keeps < report.after:
        say("engines of the last release are served as before; when none runs any more: "
            "rating-engine migrate --drop-previous")  # fmt: skip


def _migrated(report: MigrationReport) -> str:
    if report.before != report.after:
        before = "an empty database" if report.before == 0 else f"version {report.before}"
        return f"schema is at version {report.after} (was {before})"
    if report.renewed:
        return f"schema is at version {report.after} as before, with the functions of this engine"
    if report.dropped:
        return f"schema is at version {report.after} as before, without what the last release needed"
    return f"schema is at version {report.after} already"


def _serve_embedded(settings: Settings, config: Path | None, flags: Mapping[str, object]) -> int:
    directory = embedded_data_dir(settings)
    servers = EmbeddedServers(directory)
    servers.start()
    try:
        asyncio.run(migrate_database(servers.database_url))
        # The port changes with every start, and what was spooled before belongs to this database all the same.
        own = {"spool_dir": settings.spool_dir or str(directory / "spool")}
        urls = {"database_url": servers.database_url, "redis_url": servers.redis_url, **own}
        settings = load_settings(config, **flags, **urls)
        running = write_running(directory, **urls)
        try:
            opened = functools.partial(_say_where, settings)
            return _serve(settings, environment_of(settings), may_be_followed=False, opened=opened)
        finally:
            running.unlink(missing_ok=True)
    finally:
        servers.stop()


def _say_where(settings: Settings) -> None:
    """What to type next; on standard error, since the log goes to standard output."""
    if not settings.http_port or not settings.fastagi_port:
        return  # of any free ones the log tells
    from rating_engine.demo.run import own_name

    name = own_name()
    err.print(
        f"agi://{settings.fastagi_host}:{settings.fastagi_port}  http://{settings.http_host}:{settings.http_port}"
        " (/api/docs, /billing/api/2.2)\n"
        "A first administrator and a key for Narayana's API, in another terminal (the secret is shown once):\n"
        f"  {name} user create --login admin --admin --generate-password\n"
        f"  {name} key add --name first --server --level 50 --user admin\n"
        f"  curl http://{settings.http_host}:{settings.http_port}/billing/api/2.2/SECRET/getInfo",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _serve(
    settings: Settings,
    environment: dict[str, str],
    *,
    takeover: bool = False,
    may_be_followed: bool = True,
    opened: Callable[[], None] = lambda: None,
) -> int:
    """One engine in this process, or a supervisor over several. `opened`: told that it has its ports.

    Errors: TakeoverError, CommandError.
    """
    number = os.environ.get(WORKER_VARIABLE)
    if number is not None:
        return _serve_as_worker(settings, int(number))
    log = _configure_logging(settings)
    try:
        entrance = open_entrance(
            settings.listeners,
            take_over=takeover,
            may_be_followed=may_be_followed,
            activated=activated_sockets(os.environ),
        )
    except OSError as error:
        hint = "; is an engine running? " + (
            "--takeover replaces it without losing a call"
            if may_be_followed
            else "stop it, or take other ports: --fastagi-port, --http-port"
        )
        is_taken = error.errno == errno.EADDRINUSE and not takeover
        raise CommandError((error.strerror or str(error)) + (hint if is_taken else "")) from error
    try:
        opened()
        if entrance.predecessor is not None:
            asyncio.run(_check_that_calls_can_be_served(settings))
        if settings.workers == 1:
            watchdog = watchdog_seconds()
            alive = None if watchdog is None else (functools.partial(notify_systemd, ALIVE), watchdog / 2)
            return uvloop.run(_run_engine(settings, log, entrance.listeners, entrance.ready, entrance, alive=alive))
        return run_workers(
            settings.workers,
            [sys.executable, "-m", "rating_engine.cli", "serve"],
            environment=environment,
            entrance=entrance,
            shutdown_seconds=settings.shutdown_seconds,
            metrics_dir=Path(settings.metrics_dir) if settings.metrics_dir else None,
        )
    finally:
        entrance.close()


def _configure_logging(settings: Settings, constants: Mapping[str, object] | None = None) -> LineOutput:
    return configure_logging(
        settings.log_format, settings.log_level, constants=constants, queue_bytes=settings.log_queue_bytes
    )


def _serve_as_worker(settings: Settings, number: int) -> int:
    directory = os.environ.get(SHARED_DIRECTORY_VARIABLE)
    unshared = share_between_workers(Path(directory), number) if directory else "no directory"
    log = _configure_logging(settings, {"worker": number})
    listeners = Listeners.inherited(os.environ[LISTENERS_VARIABLE])
    say = functools.partial(notify_supervisor, number)
    return uvloop.run(_run_engine(settings, log, listeners, say, alive=(say, BEAT_SECONDS), unshared=unshared))


async def _check_that_calls_can_be_served(settings: Settings) -> None:
    """An engine that works is not replaced by one that cannot: wrong settings, or a schema not migrated yet."""
    async with working_services(settings) as services:
        problem = await services.doctor.schema_problem()
    if problem is not None and not problem.goes_on:
        raise CommandError(f"{problem.what}; the running engine goes on", hint=problem.hint)


async def _run_engine(
    settings: Settings,
    log: LineOutput,
    listeners: Listeners,
    is_ready: Callable[[], None],
    entrance: Entrance | None = None,
    *,
    alive: tuple[Callable[[], None], float] | None = None,
    unshared: str | None = None,
) -> int:
    """Serve until a signal, or until the engine at `entrance` that wants to follow says that it does.

    `alive`: what says that this process lives, and how often, in seconds. `unshared`: why this worker's metrics are
    shown by nobody else.
    """
    from rating_engine.engine.engine import Engine  # every surface: not loaded by other commands

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    shared_calls = inherited_calls(os.environ)
    engine = Engine(settings, listeners, shared_calls=shared_calls, lines_lost=log.newly_lost)
    if unshared is not None:
        engine.metrics.not_shared()
        _log.error("metrics_not_shared", problem=unshared)
    try:
        await engine.start()
    except OSError as error:
        _log.error("engine_cannot_start", error=str(error))
        return 1
    gc.collect()
    gc.freeze()  # what a start made stays; no collection looks at it again
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    is_ready()
    beating = None if alive is None else asyncio.create_task(beat(*alive), name="beat")
    _hear_successors(entrance, stopping.set)
    await stopping.wait()
    if entrance is not None and entrance.waits_for is not None:
        loop.remove_reader(entrance.waits_for.fileno())
    if entrance is not None:
        notify_systemd(STOPPING)
    await engine.stop()
    if beating is not None:
        beating.cancel()
    return 0


def _hear_successors(entrance: Entrance | None, on_followed: Callable[[], None]) -> None:
    """Let `entrance` advance whenever it can, until another engine has followed."""
    if entrance is None or (speaks := entrance.waits_for) is None:
        return
    loop = asyncio.get_running_loop()
    descriptor = speaks.fileno()

    def advance() -> None:
        loop.remove_reader(descriptor)  # what speaks next may be another socket
        if entrance.advance():
            on_followed()
        else:
            _hear_successors(entrance, on_followed)

    loop.add_reader(descriptor, advance)


def environment_of(settings: Settings) -> dict[str, str]:
    """Every setting as RATING_… for worker processes, so that flags and found servers reach them."""
    environment = {}
    for key, value in settings.model_dump().items():
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        environment[f"RATING_{key.upper()}"] = text
    return environment
