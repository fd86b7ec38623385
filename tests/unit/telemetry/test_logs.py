from __future__ import annotations

import io
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import structlog

from rating_engine.telemetry.logs import LineOutput, configure_logging


@dataclass
class Log:
    """What was written, and how to configure the writing."""

    stream: io.BytesIO
    outputs: list[LineOutput] = field(default_factory=list)

    def configure(self, *args: Any, stream: Any = None, **options: Any) -> LineOutput:
        self.outputs.append(configure_logging(*args, stream=stream or self.stream, **options))
        return self.outputs[-1]

    @property
    def text(self) -> str:
        assert all(output.flush() for output in self.outputs)
        return self.stream.getvalue().decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    """A log in memory; the process's own logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.BytesIO()
    written = Log(stream)
    yield written
    for output in written.outputs:
        output.close()
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level
    for name in ("uvicorn", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_is_one_json_object_with_event_level_and_time(log: Log) -> None:
    log.configure("json", "info")

    structlog.get_logger().info("call_prepare", login="alice", ms=1.5)

    [event] = log.events
    assert event["event"] == "call_prepare"
    assert event["level"] == "info"
    assert event["timestamp"].endswith("+00:00")
    assert datetime.fromisoformat(event["timestamp"]).isoformat(timespec="milliseconds") == event["timestamp"]
    assert (event["login"], event["ms"]) == ("alice", 1.5)


def test_values_json_does_not_know_are_written_as_text(log: Log) -> None:
    log.configure("json", "info")

    structlog.get_logger().info("x", cost=Decimal("1.230000"), where={"a": Decimal(1)})

    assert log.events[0]["cost"] == "1.230000"
    assert log.events[0]["where"] == {"a": "1"}


@pytest.mark.parametrize("value", ["half a \ud800 surrogate", 2**80, {1: "a key that is no text"}])
def test_a_value_that_orjson_refuses_costs_neither_the_line_nor_the_call(value: object, log: Log) -> None:
    log.configure("json", "info")

    structlog.get_logger().info("x", value=value, after=1)

    assert log.events[0]["after"] == 1


def test_a_line_break_in_a_value_does_not_make_a_second_line(log: Log) -> None:
    log.configure("json", "info")

    structlog.get_logger().info("x", login='a\n{"event":"forged"}')

    assert len(log.text.splitlines()) == 1


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_are_hidden_wherever_they_stand(log_format: str, log: Log) -> None:
    log.configure(log_format, "info")

    try:
        raise ConnectionError("postgresql://u:hunter2@h/d is down")
    except ConnectionError:
        structlog.get_logger().exception(
            "failed",
            password="hunter2",
            api_key=b"hunter2",
            url="redis://:hunter2@h/0",
            nested={"token": "hunter2", "list": ["redis://:hunter2@h/1"]},
        )

    assert "hunter2" not in log.text
    assert "ConnectionError" in log.text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_of_info_is_the_same_by_structlogs_own_way(log_format: str, log: Log) -> None:
    log.configure(log_format, "info", constants={"worker": 2})
    logger = structlog.get_logger()

    logger.info("said it", login="alice", ms=1.5)
    logger.info("said %s", "it", login="alice", ms=1.5)
    logger.bind(login="alice").info("said it", ms=1.5)

    lines = {re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+", "", line) for line in log.text.splitlines()}
    assert len(lines) == 1


def test_events_below_the_level_are_not_written(log: Log) -> None:
    log.configure("json", "warning")

    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert [event["event"] for event in log.events] == ["loud"]


def test_the_standard_library_writes_the_same_format(log: Log) -> None:
    log.configure("json", "info")

    logging.getLogger("asyncpg").warning("lost %s", "redis://:hunter2@h/0")

    [event] = log.events
    assert event["event"] == "lost redis://:***@h/0"
    assert (event["level"], event["logger"]) == ("warning", "asyncpg")


def test_an_exception_logged_by_a_library_carries_its_traceback(log: Log) -> None:
    log.configure("json", "info")

    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("library").exception("failed")

    assert "ValueError: broken" in log.events[0]["exception"]


def test_uvicorn_is_quiet_below_a_warning(log: Log) -> None:
    log.configure("json", "info")

    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")

    assert [event["event"] for event in log.events] == ["Invalid HTTP request received."]


def test_a_warning_of_python_becomes_a_line(log: Log) -> None:
    log.configure("json", "info")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old habit", DeprecationWarning, stacklevel=1)

    assert "old habit" in log.events[0]["event"]
    assert log.events[0]["logger"] == "py.warnings"


def test_a_stream_that_is_gone_costs_the_line_and_not_the_call(log: Log) -> None:
    output = log.configure("json", "info")
    log.stream.close()

    structlog.get_logger().info("x")
    logging.getLogger("library").warning("y")

    assert output.flush()
    assert output.lines_lost == 2


def test_console_text_on_a_stream_that_is_no_terminal_has_no_colours(log: Log) -> None:
    log.configure("console", "info")

    structlog.get_logger().info("call_prepare", login="alice")

    assert "call_prepare" in log.text
    assert "alice" in log.text
    assert "\x1b" not in log.text


def test_standard_output_is_the_default(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(log.stream, write_through=True))

    log.outputs.append(configure_logging("json", "info"))
    structlog.get_logger().info("x")

    assert log.events[0]["event"] == "x"


def test_what_is_said_of_the_process_stands_in_every_line(log: Log) -> None:
    log.configure("json", "info", constants={"worker": 2})

    structlog.get_logger().info("x")
    logging.getLogger("library").warning("y")

    assert [(event["event"], event["worker"]) for event in log.events] == [("x", 2), ("y", 2)]


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"where": "postgresql://u:hunter2@h/d"},
        {"said": "password=hunter2"},
        {"nested": {"token": "hunter2"}},
        {"nested": [{"api_key": "hunter2"}]},
        {"deep": ({"a": {"secret": "hunter2"}},)},
        {"client_secret": "hunter2", "half": "\ud800"},
    ],
)
def test_the_quick_way_to_a_line_hides_every_kind_of_secret(fields: dict[str, Any], log: Log) -> None:
    log.configure("json", "info")

    structlog.get_logger().info("x", **fields)

    assert "hunter2" not in log.text
    assert "***" in log.text
