"""The command line. Every command has --help with an example; what is wrong is one line that says what to do."""

from rating_engine.cli.app import app, main

__all__ = ["app", "main"]
