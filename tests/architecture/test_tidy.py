"""Rules of the house that a reader would otherwise have to watch over."""

from __future__ import annotations

import ast
import inspect
import re

from rating_engine.settings.model import Settings
from tests.architecture.source_tree import PACKAGES, PROJECT, definitions, python_files, texts

FILE_LINES_MAX = 500  # about 300 is where to look again; this is where it has to be split
LONGER_FILES: dict[str, int] = {}  # a ratchet: files that were longer when the rule came may only shrink
FUNCTION_LINES_MAX = 60  # about 40 is where to look again

# Patterns are put together from parts, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(host)
        for host in (
            "py" + "pi.org",
            "python" + "hosted.org",
            "registry.npm" + "js.org",
            "registry." + "yarnpkg.com",
            "docker" + ".io",
            "gh" + "cr.io",
            "qu" + "ay.io",
            "proxy.gol" + "ang.org",
            "crates" + ".io",
        )
    )
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.~-])/(?:" + "|".join(["wo" + "rk/", "tm" + "p/", "ro" + "ot/", "ho" + "me/"]) + r")[\w.]"
)


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def places(pattern: re.Pattern[str], *, but: tuple[str, ...] = ()) -> list[str]:
    """Where `pattern` is found in the project's files, as file:line: match."""
    return [
        f"{name}:{line_of(text, match.start())}: {match[0]}"
        for file, text in texts()
        if not (name := str(file.relative_to(PROJECT))).startswith(but or ("\0",))
        for match in pattern.finditer(text)
    ]


def test_nothing_is_left_for_later() -> None:
    assert places(UNFINISHED, but=("LICENSE", "rating_engine/api/tenant/static/")) == []


def test_no_file_names_a_package_registry() -> None:
    assert places(REGISTRY_HOSTS) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert places(MACHINE_PATHS) == []


def file_lengths() -> dict[str, int]:
    return {str(file.relative_to(PROJECT)): len(file.read_text("utf-8").splitlines()) for file in python_files()}


def test_no_file_is_too_long_to_read() -> None:
    limits = {name: LONGER_FILES.get(name, FILE_LINES_MAX) for name in file_lengths()}

    assert [f"{name}: {lines}" for name, lines in file_lengths().items() if lines > limits[name]] == []


def test_the_list_of_longer_files_only_gets_shorter() -> None:
    lengths = file_lengths()

    assert [name for name in LONGER_FILES if lengths.get(name, 0) <= FILE_LINES_MAX] == []


def test_no_function_is_too_long_to_follow() -> None:
    too_long = [
        f"{definition}: {definition.lines}"
        for file in python_files()
        for definition in definitions(file)
        if not isinstance(definition.node, ast.ClassDef) and definition.lines > FUNCTION_LINES_MAX
    ]

    assert too_long == []


def test_no_function_of_the_schema_is_too_long_to_follow() -> None:
    schema = (PROJECT / "schema.sql").read_text("utf-8")
    functions = re.findall(r"^(CREATE (?:OR REPLACE )?FUNCTION (\w+)\(.*?\$\$;)$", schema, re.MULTILINE | re.DOTALL)

    assert len(functions) == len(re.findall(r"^CREATE (?:OR REPLACE )?FUNCTION", schema, re.MULTILINE))
    assert [(name, body.count("\n") + 1) for body, name in functions if body.count("\n") >= FUNCTION_LINES_MAX] == []


def test_everything_public_says_what_it_is() -> None:
    def is_public(name: str) -> bool:
        return not any(part.startswith("_") for part in name.split("."))

    silent = [
        str(definition)
        for file in python_files(*PACKAGES)
        for definition in definitions(file)
        if is_public(definition.name) and not definition.is_nested and not ast.get_docstring(definition.node)
    ]

    assert silent == []


def test_every_module_opens_with_what_it_owns() -> None:
    silent = [
        str(file.relative_to(PROJECT))
        for file in python_files(*PACKAGES)
        if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]

    assert silent == []


def test_every_setting_is_used_where_the_engine_is_wired() -> None:
    wiring = "".join(file.read_text() for file in python_files("rating_engine/engine", "rating_engine/cli"))
    assert "settings.listeners" in wiring
    wiring += inspect.getsource(Settings.listeners.fget).replace("self.", "settings.")

    assert [key for key in Settings.model_fields if not re.search(rf"settings\.{key}", wiring)] == []
