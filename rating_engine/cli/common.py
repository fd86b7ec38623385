"""What every command shares: its settings, its way into asyncio, and how it says that something is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from rating_engine.cli.hints import problem_of
from rating_engine.cli.terminal import err, out, print_json, say, styled
from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.principal import OPERATOR
from rating_engine.embedded import default_data_dir
from rating_engine.engine.services import open_services
from rating_engine.services.catalogue import UseCases
from rating_engine.settings.model import Settings
from rating_engine.settings.sources import load_settings as read_settings

__all__ = [
    "EXIT_FAILED",
    "EXIT_INCOMPLETE",
    "CommandError",
    "ConfigOption",
    "JsonOption",
    "embedded_data_dir",
    "err",
    "load_settings",
    "out",
    "print_json",
    "reported_errors",
    "run",
    "say",
    "with_services",
    "working_services",
    "write_running",
]

EXIT_FAILED: Final = 1  # the command could not do what was asked
EXIT_INCOMPLETE: Final = 2  # it did a part, and says which
RUNNING_FILE: Final = "running.json"  # in the embedded data directory while `serve --embedded` runs

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file; default config/rating_engine.toml, if there."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object; amounts as strings.")]


class CommandError(RatingEngineError):
    """Something the user has to mend before the command can work; says what to do."""

    code = "command"


def load_settings(config: Path | None = None, **overrides: object) -> Settings:
    """The settings of this command: file, environment, flags; and where no database is named, the embedded one's.

    Errors: SettingsError with every fault.
    """
    settings = read_settings(config, overrides)
    if settings.database_url:
        return settings
    running = _running_embedded(settings)
    missing = {key: value for key, value in running.items() if not getattr(settings, key)}
    return read_settings(config, {**overrides, **missing}) if missing else settings


def embedded_data_dir(settings: Settings) -> Path:
    """Where `serve --embedded` keeps its data under these settings."""
    return Path(settings.embedded_data_dir).expanduser() if settings.embedded_data_dir else default_data_dir()


def write_running(directory: Path, **values: object) -> Path:
    """Say to commands on this machine how to reach the embedded servers; only their owner may read it."""
    file = directory / RUNNING_FILE
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump({**values, "pid": os.getpid()}, stream)
    return file


def _running_embedded(settings: Settings) -> dict[str, object]:
    """The URLs of a running `serve --embedded`, or nothing."""
    try:
        values = json.loads((embedded_data_dir(settings) / RUNNING_FILE).read_text())
        os.kill(values.pop("pid"), 0)
    except (OSError, ValueError, KeyError):
        return {}
    return {key: value for key, value in values.items() if key in ("database_url", "redis_url", "spool_dir")}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; what is wrong is one line on stderr and exit status 1, never a traceback."""
    with reported_errors():
        return asyncio.run(work)


@contextlib.contextmanager
def reported_errors() -> Iterator[None]:
    """Turn the engine's errors into one line and an exit status."""
    try:
        yield
    except RatingEngineError as error:
        err.print(styled(("error", "bold red"), f" {problem_of(error)}"), soft_wrap=True)
        raise typer.Exit(EXIT_FAILED) from None


@contextlib.asynccontextmanager
async def working_services(settings: Settings) -> AsyncIterator[UseCases]:
    """What an operator can ask, for one command. Errors: CommandError when no database is named, Unavailable."""
    if not settings.database_url:
        raise CommandError(
            "database_url is not set: start `rating-engine serve --embedded` in another terminal, or set "
            "RATING_DATABASE_URL=postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    async with open_services(settings) as services:
        yield services.of(OPERATOR)


def with_services(config: Path | None, ask: Callable[[UseCases], Awaitable[T]]) -> T:
    """What `ask` answers, of the database that the settings name; what is wrong is said as by `run`."""

    async def work() -> T:
        async with working_services(load_settings(config)) as services:
            return await ask(services)

    return run(work())
