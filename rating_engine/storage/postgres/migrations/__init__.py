"""Upgrade steps, `NNNN_what.sql`: see `rating_engine.storage.postgres.release`."""
