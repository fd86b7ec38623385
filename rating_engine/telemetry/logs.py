"""One format for every line the engine writes: its own events, uvicorn's, asyncpg's, and Python's warnings.

Laws: a secret never reaches a line (`redaction`), and a line that cannot be written never breaks a call.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, cast

import orjson
import structlog
from structlog.typing import Processor

from rating_engine.telemetry.redaction import HIDDEN, is_secret, redact_text

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
QUIET_LOGGERS: Final = ("uvicorn", "asyncio")  # below warning they repeat what the engine says itself

Event = MutableMapping[str, Any]


class LineOutput:
    """Writes finished lines to a binary stream; structlog's innermost logger.

    A stream that is gone (a closed pipe, a full disk) costs the line, not the call: `lines_lost` counts.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.lines_lost = 0

    def msg(self, line: bytes) -> None:
        """Write one line; it leaves at once and, up to a pipe's atomic size, whole."""
        try:
            self._stream.write(line + b"\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            self.lines_lost += 1

    debug = info = warning = error = critical = exception = fatal = log = msg


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


def configure_logging(log_format: str = "json", level: str = "info", stream: BinaryIO | None = None) -> LineOutput:
    """Send structlog and `logging` to `stream` (standard output) as JSON or, for people, as coloured text.

    Call once per process, before the first event: loggers keep the configuration of their first use.
    """
    output = LineOutput(sys.stdout.buffer if stream is None else stream)
    renderer = render_json if log_format == "json" else console_renderer(output)
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        add_timestamp,
        structlog.processors.format_exc_info,
        redact,
        renderer,
    ]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *processors],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=cast(Callable[..., Any], lambda *_names: output),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [StandardLibraryHandler(processors, output)]
    root.setLevel(LEVELS[level])
    logging.captureWarnings(True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, LEVELS[level]))
    return output


def add_timestamp(_logger: object, _method: str, event: Event) -> Event:
    """Add `timestamp`: ISO 8601, UTC, milliseconds."""
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return event


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


def render_json(_logger: object, _method: str, event: Event) -> bytes:
    """One JSON object; what JSON does not know (Decimal, a call key) is written as its text."""
    try:
        return orjson.dumps(event, default=str)
    except TypeError:  # half a surrogate from a broken peer, an integer beyond 64 bits, a key that is no text
        return json.dumps({str(key): value for key, value in event.items()}, default=str).encode()


def console_renderer(output: LineOutput) -> Processor:
    """structlog's text for people; colours only on a terminal."""
    render = structlog.dev.ConsoleRenderer(colors=output._stream.isatty())

    def render_text(logger: Any, method: str, event: Event) -> bytes:
        return str(render(logger, method, event)).encode(errors="backslashreplace")

    return render_text
