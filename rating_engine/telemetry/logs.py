"""One format for every line the engine writes: its own events, uvicorn's, asyncpg's, and Python's warnings.

Laws: a secret never reaches a line (`redaction`), and a line that cannot be written never breaks or delays a call
(`line_writer`).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from rating_engine.telemetry.line_writer import CLOSE_SECONDS, QUEUE_BYTES_MAX, LineWriter, writer_of
from rating_engine.telemetry.redaction import HIDDEN, is_secret, redact_text

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
QUIET_LOGGERS: Final = ("uvicorn", "asyncio")  # below warning they repeat what the engine says itself
SHAPES_REMEMBERED: Final = 1_024  # sets of keys that events have: some dozens, one a place that logs

Event = MutableMapping[str, Any]


class LineOutput:
    """Where finished lines go: structlog's innermost logger, over the thread that writes them."""

    def __init__(self, stream: BinaryIO, dropped_line: Callable[[int], bytes], queue_bytes: int) -> None:
        self.is_terminal = stream.isatty()
        self._writer = LineWriter(writer_of(stream), dropped_line, queue_bytes=queue_bytes)
        self._told = 0

    def msg(self, line: bytes) -> None:
        """Pass one line on, to leave in a moment."""
        self._writer.put(line + b"\n")

    debug = info = warning = error = critical = exception = fatal = log = msg

    @property
    def lines_lost(self) -> int:
        """Lines that nobody has got: dropped because the stream took no more, or because it is gone."""
        return self._writer.lines_dropped + self._writer.lines_lost

    def newly_lost(self) -> int:
        """`lines_lost` since this was asked last."""
        lost = self.lines_lost
        before, self._told = self._told, lost
        return lost - before

    def flush(self) -> bool:
        """Wait until what was logged is written; False where that takes longer than CLOSE_SECONDS."""
        return self._writer.flush()

    def close(self) -> bool:
        """Take no more lines, and wait for the last ones for CLOSE_SECONDS at most."""
        return self._writer.close(CLOSE_SECONDS)


class StandardLibraryHandler(logging.Handler):
    """Turns a record of `logging` into an event and sends it the way of the engine's own."""

    def __init__(self, processors: list[Processor], output: LineOutput) -> None:
        super().__init__()
        self._processors = processors
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; whatever goes wrong costs the line only."""
        event: Any = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        with contextlib.suppress(Exception):
            for processor in self._processors:
                event = processor(None, record.levelname.lower(), event)
            self._output.msg(event)


def configure_logging(
    log_format: str = "json",
    level: str = "info",
    stream: BinaryIO | None = None,
    *,
    constants: Mapping[str, Any] | None = None,
    queue_bytes: int = QUEUE_BYTES_MAX,
) -> LineOutput:
    """Send structlog and `logging` to `stream` (standard output) as JSON or, for people, as coloured text.

    `constants` stand in every line; `queue_bytes` of lines are kept while the stream takes none. Call once per
    process, before the first event: loggers keep the configuration of their first use. What was logged is written
    before the process ends, if the stream takes it in time.
    """
    stream = sys.stdout.buffer if stream is None else stream
    output = LineOutput(stream, lambda count: dropped_line(processors, count), queue_bytes)
    processors = [json_renderer(constants or {})] if log_format == "json" else text_renderer(output, constants or {})
    structlog.configure(
        processors=processors,
        wrapper_class=quick_logger(LEVELS[level]),
        logger_factory=cast(Callable[..., Any], lambda *_names: output),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [StandardLibraryHandler(processors, output)]
    root.setLevel(LEVELS[level])
    logging.captureWarnings(True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, LEVELS[level]))
    atexit.register(output.close)
    return output


def quick_logger(level: int) -> type[FilteringBoundLogger]:
    """structlog's logger of a level, whose `info` calls the processors itself: a line of a call costs 1 us less so.

    What it writes is the same. Where there is something to interpolate, or a context, structlog's own way is taken.
    """
    filtering = structlog.make_filtering_bound_logger(level)
    if level > logging.INFO:
        return filtering

    class QuickLogger(filtering):  # type: ignore[misc,valid-type]
        def info(self, event: str, *args: Any, **fields: Any) -> Any:
            if args or self._context:
                return super().info(event, *args, **fields)
            fields["event"] = event
            line: Any = fields
            try:
                for processor in self._processors:
                    line = processor(self._logger, "info", line)
            except structlog.DropEvent:
                return None
            return self._logger.info(line)

    return QuickLogger


def dropped_line(processors: list[Processor], count: int) -> bytes:
    """The line that says how many are missing before it."""
    event: Any = {"event": "log_lines_dropped", "count": count, "hint": "whoever reads this log had stopped reading"}
    for processor in processors:
        event = processor(None, "warning", event)
    return cast(bytes, event) + b"\n"


def add_timestamp(_logger: object, _method: str, event: Event) -> Event:
    """Add `timestamp`: ISO 8601, UTC, milliseconds."""
    second, thousandth = divmod(time.time_ns() // 1_000_000, 1_000)
    event["timestamp"] = f"{_date_and_time(second)}.{thousandth:03d}+00:00"
    return event


@functools.lru_cache(maxsize=2)  # many lines are of one second, and to write it down takes three times as long
def _date_and_time(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")


def redact(_logger: object, _method: str, event: Event) -> Event:
    """Hide values whose key names a secret, and passwords inside texts."""
    for key, value in event.items():
        if is_secret(key):
            event[key] = HIDDEN
        elif type(value) is str:
            if "=" in value or "://" in value:
                event[key] = redact_text(value)
        elif isinstance(value, dict | list | tuple):
            event[key] = redact_nested(value)
    return event


def redact_nested(value: object) -> object:
    """`redact` for what is inside a dict or a list."""
    if isinstance(value, dict):
        return {key: HIDDEN if is_secret(str(key)) else redact_nested(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_nested(inner) for inner in value]
    return redact_text(value) if isinstance(value, str) else value


def json_renderer(constants: Mapping[str, Any]) -> Processor:
    """From an event to its line of JSON in one step, since every call is two lines.

    Most lines hold nothing that could be a secret, and that is seen from the finished line.
    """

    def render(logger: Any, method: str, event: Event) -> bytes:
        event["level"] = _LEVEL_NAMES.get(method, method)
        if constants:
            event.update(constants)
        add_timestamp(logger, method, event)
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, method, event)
        line = _dumps(event)
        if _may_hold_a_secret(line) or _secret_keys(tuple(event)):
            line = _dumps(redact(logger, method, event))
        return line

    return render


_LEVEL_NAMES: Final = {"warn": "warning", "exception": "error"}


def _may_hold_a_secret(line: bytes) -> bool:
    """Whether there is a `password=…`, a URL, or a key inside a value: what `redact` looks at beyond the keys."""
    find = line.find  # `in` takes twice as long
    return find(b"=") > 0 or find(b"://") > 0 or find(b"[") > 0 or find(b"{", 1) > 0


@functools.lru_cache(maxsize=SHAPES_REMEMBERED)
def _secret_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if is_secret(key))


def _dumps(event: Event) -> bytes:
    """One JSON object; what JSON does not know (Decimal, a call key) is written as its text."""
    try:
        return orjson.dumps(event, default=str)
    except TypeError:  # half a surrogate from a broken peer, an integer beyond 64 bits, a key that is no text
        return json.dumps({str(key): value for key, value in event.items()}, default=str).encode()


def text_renderer(output: LineOutput, constants: Mapping[str, Any]) -> list[Processor]:
    """structlog's text for people; colours only on a terminal."""
    render = structlog.dev.ConsoleRenderer(colors=output.is_terminal)

    def add_constants(_logger: object, _method: str, event: Event) -> Event:
        event.update(constants)
        return event

    def render_text(logger: Any, method: str, event: Event) -> bytes:
        return str(render(logger, method, event)).encode(errors="backslashreplace")

    return [
        structlog.processors.add_log_level,
        add_constants,
        add_timestamp,
        structlog.processors.format_exc_info,
        redact,
        render_text,
    ]
