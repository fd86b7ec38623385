"""Passwords that are given to commands: by standard input, since a command line is seen by everybody on the machine."""

from __future__ import annotations

import sys

from rating_engine.domain.errors import InvalidRequest


def read_password() -> str:
    """The first line of it. Raises InvalidRequest (password_stdin)."""
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise InvalidRequest("password_stdin", "there is no line with a password")
    return line
