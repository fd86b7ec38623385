"""The documented configuration file, made from the settings themselves so that it cannot be out of date.

`python -m rating_engine.settings.file > config/rating_engine.toml` writes it anew.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import Final

from rating_engine.settings.model import Settings
from rating_engine.settings.sources import expected

LINE_WIDTH: Final = 100

HEADER: Final = """\
# Settings of the rating engine. Every setting is here with its default, commented out; take the # away to
# change one. Over this file go variables of the environment (http_port is RATING_HTTP_PORT), and over both
# the flags of the command. A key that is not listed here, or a value out of its bounds, is an error.
#
# Made by `python -m rating_engine.settings.file`.
"""

SECTIONS: Final = {
    "database_url": "PostgreSQL",
    "redis_url": "Redis",
    "secret_keys": "Secrets",
    "did_grace_days": "Telephone numbers",
    "payment_minimal": "Payments and invoices",
    "fastagi_host": "FastAGI",
    "http_host": "HTTP",
    "address_requests_per_minute": "Requests a minute",
    "ban_wrong_keys": "Bans",
    "mor_allow_get": "MOR XML API",
    "smtp_url": "Mail",
    "exchange_file_hosts": "Maintenance",
    "message_carriers": "Providers",
    "workers": "Processes",
    "default_route": "Charging",
    "ami_exchanges": "Exchanges",
    "route_quality_window_seconds": "Routes",
    "ledger_batch_max": "Ledger",
    "ari_exchanges": "Exchanges whose calls the engine holds (ARI)",
    "recordings_directory": "Recordings",
    "spool_dir": "When PostgreSQL is away",
    "deck_unserved_percent": "Rate decks",
    "rate_cache_entries": "Caches",
    "log_format": "Logs and metrics",
}  # the first key of each


def render_settings_file() -> str:
    """The text of config/rating_engine.toml: for each setting its reason, what it has to be, and its default."""
    lines = [HEADER]
    for key, field in Settings.model_fields.items():
        if key in SECTIONS:
            lines.append(f"# ---- {SECTIONS[key]} ----\n")
        reason = field.description or ""
        lines.append(textwrap.fill(reason, LINE_WIDTH, initial_indent="# ", subsequent_indent="# "))
        if field.annotation is not str:
            lines.append(f"# {_capitalised(expected(key, field))}.")
        lines.append(f"#{key} = {_as_toml(field.default)}\n")
    return "\n".join(lines)


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]


def _as_toml(value: object) -> str:
    """A default as TOML: texts, numbers and arrays of texts are written as in JSON."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(render_settings_file())
