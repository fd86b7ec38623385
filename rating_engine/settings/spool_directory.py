"""Where an engine keeps its spool when nobody says.

Law: engines of different databases never share a directory, or one would charge the other's calls.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from rating_engine.embedded import default_data_dir

FINGERPRINT_HEX: Final = 8  # tells the databases of one machine apart
_NAMES_THE_DATABASE: Final = ("host", "port", "dbname")  # where the URL says it in its query


def spool_directory(spool_dir: str, database_url: str) -> Path:
    """The setting `spool_dir`, or a directory of the database's own: by its hosts and name, not by user or password."""
    if spool_dir:
        return Path(spool_dir).expanduser()
    parts = urlsplit(database_url)
    query = parse_qs(parts.query)
    named = [parts.netloc.rpartition("@")[2], parts.path, *(str(query.get(key)) for key in _NAMES_THE_DATABASE)]
    fingerprint = hashlib.sha256("\n".join(named).encode()).hexdigest()[:FINGERPRINT_HEX]
    return default_data_dir() / f"spool-{fingerprint}"
