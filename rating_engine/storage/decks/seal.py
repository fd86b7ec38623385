"""What engines keep where others may write, sealed with a secret of the database: only its engines can have made it.

Law: a seal holds for one key and one text. Moved to another key (another tariff, another number), cut, or changed, it
is broken; which byte was wrong cannot be told from the time it takes.
"""

from __future__ import annotations

import hmac
from hashlib import blake2b
from typing import Final

SEAL_BYTES: Final = 16  # nobody guesses 128 bits, however often he may try


class Seal:
    """Seals and opens values with one secret."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: 32 random bytes."""
        self._keyed = blake2b(key=secret, digest_size=SEAL_BYTES)

    def sealed(self, key: bytes, text: bytes) -> bytes:
        """`text` as it may be kept under `key`."""
        return self._of(key, text) + text

    def opened(self, key: bytes, value: bytes) -> bytes | None:
        """The text of a value kept under `key`; None where its seal is not ours."""
        text = value[SEAL_BYTES:]
        return text if hmac.compare_digest(value[:SEAL_BYTES], self._of(key, text)) else None

    def _of(self, key: bytes, text: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(len(key).to_bytes(4) + key)  # its length first: no byte can change sides
        digest.update(text)
        return digest.digest()
