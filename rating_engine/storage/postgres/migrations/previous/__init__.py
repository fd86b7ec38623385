"""What engines of an older schema version need, `NNNN.sql`, and what takes it away: see `storage.postgres.release`."""
