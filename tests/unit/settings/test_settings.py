from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from rating_engine.cli.process.serve import environment_of
from rating_engine.settings.file import render_settings_file
from rating_engine.settings.model import Settings
from rating_engine.settings.sources import SettingsError, load_settings

PROJECT = Path(__file__).parents[3]
SHIPPED_FILE = PROJECT / "config" / "rating_engine.toml"
SECRET = "hunter2"


def load(text: str, tmp_path: Path, environ: dict[str, str] | None = None, **flags: object) -> Settings:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    return load_settings(file, flags, environ or {})


def faults(text: str, tmp_path: Path, environ: dict[str, str] | None = None, **flags: object) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load(text, tmp_path, environ, **flags)
    return str(raised.value).splitlines()


# --- the table of settings


def test_every_setting_gives_its_reason() -> None:
    assert [key for key, field in Settings.model_fields.items() if len(field.description or "") < 20] == []


def test_every_number_has_bounds() -> None:
    def bounds(key: str) -> set[str]:
        return {type(rule).__name__ for rule in Settings.model_fields[key].metadata}

    numbers = [key for key, field in Settings.model_fields.items() if field.annotation in (int, float)]

    assert [key for key in numbers if not {"Ge", "Le"} <= bounds(key)] == []


def test_every_default_passes_its_own_check() -> None:
    defaults = {key: field.default for key, field in Settings.model_fields.items()}

    assert Settings.model_validate(defaults) == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().workers = 2  # type: ignore[misc]


def test_who_may_call_without_postgresql_has_to_be_named(tmp_path: Path) -> None:
    assert faults('on_database_down = "allow_postpaid"', tmp_path) == [
        "settings: allow_postpaid_logins: must name a login while on_database_down is allow_postpaid"
    ]
    named = load('on_database_down = "allow_postpaid"\nallow_postpaid_logins = ["a", "b"]', tmp_path)
    assert named.allow_postpaid_logins == ("a", "b")


def test_no_more_logins_are_taken_than_every_engine_can_keep(tmp_path: Path) -> None:
    (fault,) = faults(f"allow_postpaid_logins = {['a'] * 1001}", tmp_path)

    assert "allow_postpaid_logins" in fault


# --- the shipped file


def test_the_shipped_file_is_the_one_made_from_the_settings() -> None:
    assert SHIPPED_FILE.read_text() == render_settings_file(), "run: python -m rating_engine.settings.file"


def test_the_shipped_file_uncommented_holds_every_key_with_its_default() -> None:
    lines = [
        line.removeprefix("#") for line in SHIPPED_FILE.read_text().splitlines() if line[:2] not in ("", "# ", "#")
    ]

    table = tomllib.loads("\n".join(lines))

    assert list(table) == list(Settings.model_fields)
    assert Settings.model_validate(table) == Settings()


def test_the_shipped_file_as_it_is_changes_nothing() -> None:
    assert load_settings(SHIPPED_FILE, environ={}) == Settings()


# --- sources


def test_environment_goes_over_the_file_and_a_flag_over_both(tmp_path: Path) -> None:
    text = "http_port = 1001\nfastagi_port = 1002\nworkers = 3"
    environ = {"RATING_HTTP_PORT": "2001", "RATING_FASTAGI_PORT": "2002"}

    settings = load(text, tmp_path, environ, http_port=3001, workers=None)

    assert (settings.http_port, settings.fastagi_port, settings.workers) == (3001, 2002, 3)


def test_variables_are_read_as_the_type_of_their_setting(tmp_path: Path) -> None:
    environ = {
        "RATING_DATABASE_URL": "postgresql://engine@db.example:5432/rating",
        "RATING_DATABASE_TIMEOUT_SECONDS": "0.5",
        "RATING_FASTAGI_ALLOWED_NETWORKS": "10.0.0.0/8, ::1/128",
        "RATING_WORKERS": " 4 ",
    }

    settings = load("", tmp_path, environ)

    assert settings.database_url == environ["RATING_DATABASE_URL"]
    assert settings.database_timeout_seconds == 0.5
    assert settings.fastagi_allowed_networks == ("10.0.0.0/8", "::1/128")
    assert settings.workers == 4


def test_yes_and_no_are_said_as_in_the_file(tmp_path: Path) -> None:
    assert load("", tmp_path, {"RATING_MOR_ALLOW_GET": "true", "RATING_ARI_EARLY_MEDIA": "False"}).mor_allow_get
    assert not load("", tmp_path, {"RATING_ARI_EARLY_MEDIA": "False"}).ari_early_media
    with pytest.raises(SettingsError, match="mor_allow_get: must be true or false, not 'yes'"):
        load("", tmp_path, {"RATING_MOR_ALLOW_GET": "yes"})


def test_what_a_supervisor_was_told_reaches_its_workers(tmp_path: Path) -> None:
    turned = {key: not field.default for key, field in Settings.model_fields.items() if field.annotation is bool}

    settings = load_settings(None, turned, environ={})

    assert turned
    assert load_settings(environ=environment_of(settings)) == settings


def test_rating_config_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("workers = 5")

    assert load_settings(environ={"RATING_CONFIG": str(file)}).workers == 5


def test_the_flag_goes_over_rating_config(tmp_path: Path) -> None:
    assert load("workers = 6", tmp_path, {"RATING_CONFIG": "nowhere.toml"}).workers == 6


def test_the_usual_file_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "rating_engine.toml").write_text("workers = 7")
    monkeypatch.chdir(tmp_path)

    assert load_settings(environ={}).workers == 7


def test_without_any_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_settings(environ={}) == Settings()


@pytest.mark.parametrize("named_by", ["flag", "environment"])
def test_a_named_file_that_is_missing_is_an_error(named_by: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    config, environ = (missing, {}) if named_by == "flag" else (None, {"RATING_CONFIG": str(missing)})

    with pytest.raises(SettingsError, match=rf"{named_by}.*missing\.toml: cannot be read"):
        load_settings(config, environ=environ)


def test_a_file_that_is_no_toml_is_an_error_that_says_where(tmp_path: Path) -> None:
    [line] = faults("workers = = 2", tmp_path)

    assert "settings.toml: TOML: cannot be understood" in line
    assert "line 1" in line


# --- faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http_prot = 8080", "http_prot: no such setting; did you mean http_port?"),
        ("max_reserve_minutes = 60", "its unit is seconds, so it is called max_reserve_seconds"),
        ("max_reserve = 60", "its unit is seconds, so it is called max_reserve_seconds"),
        ("redis_timeout_seconds = 1", "its unit is milliseconds, so it is called redis_timeout_ms"),
        ("[fastagi]\nport = 1", "fastagi: no such setting; did you mean fastagi_port?; there are no sections"),
        ('max_reserve_seconds = "1h"', "max_reserve_seconds: must be a whole number of seconds from 1 to 86400"),
        ('redis_timeout_ms = "50ms"', "milliseconds from 1 to 5000, without the unit, not '50ms'"),
        ("max_reserve_seconds = 1.5", "max_reserve_seconds: must be a whole number of seconds"),
        ("workers = true", "workers: must be a whole number from 1 to 64, not True"),
        ("workers = 0", "workers: must be a whole number from 1 to 64, not 0"),
        ("http_port = 65536", "http_port: must be a whole number from 0 to 65535, not 65536"),
        ("database_timeout_seconds = nan", "database_timeout_seconds: must be a number of seconds from 0.05 to 60.0"),
        ('log_level = "loud"', "log_level: must be one of debug, info, warning, error, not 'loud'"),
        ('http_host = ""', "http_host: must be a text that is not empty"),
        ('default_route = "a b"', "default_route: must be NAME or PREFIX|NAME"),
        ('fastagi_allowed_networks = ["10.0.0.1/8"]', "fastagi_allowed_networks: 10.0.0.1/8 has host bits set"),
        ('fastagi_allowed_networks = "10.0.0.0/8"', "fastagi_allowed_networks: must be a list of texts"),
        ('redis_url = "http://h"', "redis_url: must be a URL that begins with redis://"),
        ('database_url = "mysql://h/d"', "database_url: must be a URL that begins with postgresql://"),
        ('database_url = "postgresql:///d"', "database_url: names no host"),
        ("workers = 2\nhttp_port = 0", "workers: must be 1 while"),
    ],
)
def test_a_fault_in_the_file_names_the_key_and_what_is_expected(text: str, expected: str, tmp_path: Path) -> None:
    [line] = faults(text, tmp_path)

    assert expected in line


def test_a_fault_names_its_source(tmp_path: Path) -> None:
    lines = faults("http_port = -1", tmp_path, {"RATING_FASTAGI_PORT": "many"}, workers=99)

    assert len(lines) == 3
    assert any(line.startswith(f"file {tmp_path / 'settings.toml'}: http_port:") for line in lines)
    assert any(line.startswith("environment RATING_FASTAGI_PORT: fastagi_port:") for line in lines)
    assert any(line.startswith("flag --workers: workers:") for line in lines)


@pytest.mark.parametrize("name", ["RATING_HTTP_PROT", "RATING_http_port", "RATING_"])
def test_an_unknown_variable_is_a_fault(name: str, tmp_path: Path) -> None:
    [line] = faults("", tmp_path, {name: "1"})

    assert line.startswith(f"environment {name}: ")
    assert "no such setting" in line


def test_variables_of_other_programs_are_none_of_ours(tmp_path: Path) -> None:
    assert load("", tmp_path, {"RATINGS": "x", "PATH": "/bin", "RATING_WORKER": "1"}) == Settings()


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    assert len(faults("a = 1\nb = 2\nworkers = 0\nhttp_port = -1", tmp_path)) == 4


# --- secrets


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://engine:{SECRET}@db.example:5432/rating",
        f"postgresql://engine:{SECRET}@one:5432,two:5432/rating?target_session_attrs=read-write",
        f"postgresql://engine:p@{SECRET}@db.example/rating",
        f"postgresql://db.example/rating?user=engine&password={SECRET}",
    ],
)
def test_a_password_in_a_url_is_neither_in_the_redacted_settings_nor_in_their_repr(url: str, tmp_path: Path) -> None:
    settings = load("", tmp_path, {"RATING_DATABASE_URL": url})

    assert settings.database_url == url
    assert SECRET not in str(settings.redacted())
    assert SECRET not in repr(settings)
    assert "***" in settings.redacted()["database_url"]


def test_a_password_in_a_wrong_url_is_not_in_the_error(tmp_path: Path) -> None:
    [line] = faults(f'database_url = "mysql://engine:{SECRET}@db.example/rating"', tmp_path)

    assert SECRET not in line
    assert "db.example" in line


# --- the default route


@pytest.mark.parametrize(
    ("value", "prefix", "name"),
    [
        ("default", "", "default"),
        ("7788|carrier-1", "7788", "carrier-1"),
        ("|carrier", "", "carrier"),
        ("outline/|r1", "outline/", "r1"),
    ],
)
def test_the_default_route_is_a_name_with_or_without_a_prefix(value: str, prefix: str, name: str) -> None:
    settings = Settings(default_route=value)

    assert (settings.default_route_prefix, settings.default_route_name) == (prefix, name)


@pytest.mark.parametrize("value", ["", "|", "a|b|c", "a,b", 'a"b', "${X}", "a b", "x" * 65])
def test_a_route_that_would_break_a_dialplan_is_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        Settings(default_route=value)


# -- exchanges -----------------------------------------------------------------------------------------------------


def test_exchanges_may_be_named_in_the_environment_separated_by_commas(tmp_path: Path) -> None:
    said = "pbx1=ami://engine:one@10.0.0.1:5038, pbx2=ami://engine:two@10.0.0.2?tls=1"
    settings = load_settings(None, environ={"RATING_AMI_EXCHANGES": said})
    assert settings.ami_exchanges == (
        "pbx1=ami://engine:one@10.0.0.1:5038",
        "pbx2=ami://engine:two@10.0.0.2?tls=1",
    )


def test_the_secret_of_an_exchange_is_shown_nowhere() -> None:
    said = f"pbx1=ami://engine:{SECRET}@10.0.0.1"
    settings = load_settings(None, environ={"RATING_AMI_EXCHANGES": said})
    assert SECRET not in repr(settings) + str(settings.redacted())
    assert "pbx1" in str(settings.redacted())


@pytest.mark.parametrize(
    "said",
    [
        "pbx1",
        f"pbx1=ami://engine:{SECRET}",
        f"pbx1=http://engine:{SECRET}@10.0.0.1",
        f"pbx1=ami://engine:{SECRET}@10.0.0.1?ssl=1",
        f"pbx1=ami://engine:{SECRET}@10.0.0.1,pbx1=ami://engine:{SECRET}@10.0.0.2",
    ],
)
def test_a_wrong_exchange_is_refused_and_its_secret_not_repeated(said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, environ={"RATING_AMI_EXCHANGES": said})
    assert "ami_exchanges" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_warning_earlier_than_the_end_can_be_known_is_refused(tmp_path: Path) -> None:
    said = faults("quota_seconds = 60\nami_warning_seconds = 60\n", tmp_path)
    assert said == ["settings: ami_warning_seconds: must be less than quota_seconds: no further ahead is the end known"]
