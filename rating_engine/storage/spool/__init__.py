"""The spool on local disk: ends of calls and promises made without the database."""
