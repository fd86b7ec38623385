"""Real PostgreSQL and Valkey servers from Python wheels: for `demo`, `serve --embedded` and the tests.

The law kept here: whatever happens to the process that started a server - it returns, raises, is killed with
SIGKILL - the server ends too, and a temporary data directory goes with it (see `guard`).
"""

from rating_engine.embedded.errors import EmbeddedError
from rating_engine.embedded.postgres import EmbeddedPostgres
from rating_engine.embedded.servers import EmbeddedServers, default_data_dir
from rating_engine.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedServers", "EmbeddedValkey", "default_data_dir"]
