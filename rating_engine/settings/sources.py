"""Where settings come from, and one line for every fault in them: the source, the key, and what is expected."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from rating_engine.domain.errors import RatingEngineError
from rating_engine.settings.model import Settings
from rating_engine.settings.urls import shown_url
from rating_engine.telemetry.redaction import HIDDEN, redact_text

ENVIRONMENT_PREFIX: Final = "RATING_"
CONFIG_VARIABLE: Final = "RATING_CONFIG"  # names the configuration file
WORKER_VARIABLE: Final = "RATING_WORKER"  # set by the supervisor for each worker: 1, 2, …
LISTENERS_VARIABLE: Final = "RATING_LISTENERS"  # and which sockets it has inherited: fastagi=5,http=6
READY_VARIABLE: Final = "RATING_READY"  # and the pipe on which it says that it serves
SHARED_CALLS_VARIABLE: Final = "RATING_SHARED_CALLS"  # and the memory it shares with the others
RESERVED_VARIABLES: Final = frozenset(
    {CONFIG_VARIABLE, WORKER_VARIABLE, LISTENERS_VARIABLE, READY_VARIABLE, SHARED_CALLS_VARIABLE}
)
DEFAULT_CONFIG: Final = Path("config/rating_engine.toml")
UNITS: Final = {"seconds": "seconds", "ms": "milliseconds", "bytes": "bytes", "minutes": "minutes", "hours": "hours"}
TRUTHS: Final = {"true": True, "false": False}  # as in the file, in any case
VALUE_SHOWN_CHARACTERS: Final = 80  # of a wrong value, in its message


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the settings. `source` says where it stands, `problem` what is expected."""

    source: str
    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: {self.key}: {self.problem}"


class SettingsError(RatingEngineError):
    """The settings cannot be used; one line per fault, all of them at once."""

    code = "settings"

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave, and where."""

    value: object
    source: str


def load_settings(
    config: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings: file, then environment over it, then `overrides` (flags; None = not given) over both.

    `config` (the flag --config) or RATING_CONFIG names the file and then it has to exist; without either it is
    ./config/rating_engine.toml if that exists. Raises SettingsError with every fault of every source.
    """
    environ = os.environ if environ is None else environ
    faults: list[Fault] = []
    given = dict(_from_file(_config_file(config, environ), faults))
    given.update(_from_environment(environ, faults))
    for key, value in (overrides or {}).items():
        if value is not None:
            given[key] = Given(value, f"flag --{key.replace('_', '-')}")
    return _validated(given, faults)


def _config_file(config: Path | None, environ: Mapping[str, str]) -> tuple[Path, str] | None:
    """The file to read and who named it; None when nobody did and the usual one is not there."""
    if config is not None:
        return config, "flag --config"
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named), f"environment {CONFIG_VARIABLE}"
    return (DEFAULT_CONFIG, "default") if DEFAULT_CONFIG.is_file() else None


def _from_file(named: tuple[Path, str] | None, faults: list[Fault]) -> Iterator[tuple[str, Given]]:
    if named is None:
        return
    path, namer = named
    source = f"file {path}"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(Fault(namer, str(path), f"cannot be read: {error.strerror or error}"))
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(Fault(source, "TOML", f"cannot be understood: {error}"))
        return
    for key, value in table.items():
        if key not in Settings.model_fields:
            is_section = isinstance(value, dict)
            faults.append(Fault(source, key, _unknown(key) + ("; there are no sections" if is_section else "")))
        else:
            yield key, Given(value, source)


def _from_environment(environ: Mapping[str, str], faults: list[Fault]) -> Iterator[tuple[str, Given]]:
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in RESERVED_VARIABLES:
            continue
        key = name.removeprefix(ENVIRONMENT_PREFIX).lower()
        source = f"environment {name}"
        field = Settings.model_fields.get(key)
        if field is None or name != ENVIRONMENT_PREFIX + key.upper():
            faults.append(Fault(source, key, _unknown(key)))
        else:
            yield key, Given(_from_text(field, text), source)


def _from_text(field: FieldInfo, text: str) -> object:
    """Text from the environment as the type of `field`; text that does not fit is left for the type check."""
    text = text.strip()
    if field.annotation in (int, float):
        try:
            return field.annotation(text)
        except ValueError:
            return text
    if field.annotation is bool:
        return TRUTHS.get(text.lower(), text)
    if field.annotation is not str and isinstance(field.default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _validated(given: Mapping[str, Given], faults: list[Fault]) -> Settings:
    """The settings, or SettingsError with `faults` and every fault of a value."""
    try:
        settings = Settings.model_validate({key: one.value for key, one in given.items()})
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            key = str(fault["loc"][0]) if fault["loc"] else ""
            if not key:  # a rule over several keys names them itself
                faults.append(Fault("settings", *str(fault["ctx"]["error"]).split(": ", 1)))
            elif key not in Settings.model_fields:
                faults.append(Fault(given[key].source, key, _unknown(key)))
            else:
                faults.append(Fault(given[key].source, key, _problem(key, given[key].value, dict(fault))))
        raise SettingsError(faults) from None
    if faults:
        raise SettingsError(faults)
    return settings


def _problem(key: str, value: object, fault: Mapping[str, Any]) -> str:
    """What is wrong with a value, in words: the value (without passwords), and what is expected."""
    field = Settings.model_fields[key]
    shown = redact_text(repr(value))[:VALUE_SHOWN_CHARACTERS]
    if not field.repr:  # holds a secret, and may be too broken to tell where
        shown = repr(shown_url(value)) if isinstance(value, str) and "://" in value else HIDDEN
    if fault["type"] == "value_error":
        return f"{fault['ctx']['error']}, not {shown}"
    bare = ", without the unit" if unit_of(key) and isinstance(value, str) else ""
    return f"must be {expected(key, field)}{bare}, not {shown}"


def expected(key: str, field: FieldInfo) -> str:
    """What a value of this setting has to be, in words: its type, unit and bounds."""
    if field.annotation in (int, float):
        kind = "a whole number" if field.annotation is int else "a number"
        unit = unit_of(key)
        words = f"{kind} of {unit}" if unit else kind
        bounds = {type(rule).__name__: rule for rule in field.metadata}
        low, high = bounds.get("Ge"), bounds.get("Le")
        return f"{words} from {low.ge} to {high.le}" if low and high else words
    if field.annotation is bool:
        return "true or false"
    if isinstance(field.default, tuple):
        return "a list of texts"
    choices = getattr(field.annotation, "__args__", ())
    if choices:
        return "one of " + ", ".join(str(choice) for choice in choices)
    pattern = next((rule.pattern for rule in field.metadata if getattr(rule, "pattern", None)), None)
    if pattern:
        return f"a text that matches {pattern}"
    return "a text that is not empty" if any(getattr(rule, "min_length", 0) for rule in field.metadata) else "a text"


def unit_of(key: str) -> str:
    """The unit a key carries as its suffix, in words; empty without one."""
    return UNITS.get(key.rpartition("_")[2], "")


def _unknown(key: str) -> str:
    """For a key that does not exist: the one with the right unit, or the likeliest."""
    known = list(Settings.model_fields)
    stem, _, suffix = key.lower().rpartition("_")
    stem = stem if suffix in UNITS else key.lower()
    for candidate in known:
        if unit_of(candidate) and candidate.rpartition("_")[0] == stem:
            return f"no such setting: its unit is {unit_of(candidate)}, so it is called {candidate}"
    close = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    return "no such setting" + (f"; did you mean {close[0]}?" if close else "")
