"""What must never reach a log: passwords, keys, tokens, wherever they stand in an event."""

from __future__ import annotations

import functools
import re
from typing import Final

HIDDEN: Final = "***"
SECRET_KEYS: Final = frozenset(
    {"password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "cookie"}
)
KEYS_REMEMBERED: Final = 1_024  # keys are words of the code, some dozens; asked for each field of each line
SECRET_SUFFIXES: Final = ("_password", "_secret", "_token", "_api_key")
# scheme://user:password@host; up to the last @, because a badly quoted password may hold any of / ? # @
URL_PASSWORD: Final = re.compile(r"(?<=://)([^\s/?#:@]*):[^\s'\"]*@")
PARAMETER_PASSWORD: Final = re.compile(r"\b((?:password|passwd|secret|token|api_key)=)[^\s&;,'\"]+", re.IGNORECASE)


@functools.lru_cache(maxsize=KEYS_REMEMBERED)
def is_secret(key: str) -> bool:
    """Whether a value under this key is a secret by its name."""
    lowered = key.lower()
    return lowered in SECRET_KEYS or lowered.endswith(SECRET_SUFFIXES)


def redact_text(text: str) -> str:
    """`text` with the password of every URL and every `password=…` in it replaced by ***."""
    if "://" in text:
        text = URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    if "=" in text:
        text = PARAMETER_PASSWORD.sub(rf"\1{HIDDEN}", text)
    return text
