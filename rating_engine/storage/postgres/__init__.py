"""The doors to PostgreSQL, what travels through them, and the schema's versions."""
