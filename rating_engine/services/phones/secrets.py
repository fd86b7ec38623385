"""Passwords of phones and numbers of codes, kept so that they can be shown again: encrypted with keys of the settings.

By Fernet; what is looked for by its text (a code) is found by hashes under the same keys.

Laws: the first key encrypts and all of them decrypt, so that a new one is put before the old one, and the old one is
taken away when nothing is encrypted with it any more; without a key no password is kept or shown, and all else works.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from rating_engine.domain.sip_account import NoSecretKey


class SecretBox:
    """Encrypts and decrypts. `keys`: 32 random bytes each, in URL-safe base64. Raises ValueError for what is none."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._hashing = [hmac.digest(base64.urlsafe_b64decode(key), b"numbers of codes", "sha256") for key in keys]
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def seal(self, text: str) -> bytes:
        """What is kept of it. Errors: NoSecretKey."""
        return self._needed().encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """What it was. Errors: NoSecretKey (none at all, or none of those that it was encrypted with)."""
        try:
            return self._needed().decrypt(sealed).decode()
        except InvalidToken:
            raise NoSecretKey(
                "secret_keys has not the key that this password is encrypted with", field="password"
            ) from None

    def shown(self, sealed: bytes | None) -> str | None:
        """The same for who reads; None where it cannot be read."""
        if sealed is None or self._fernet is None:
            return None
        try:
            return self.open(sealed)
        except NoSecretKey:
            return None

    def resealed(self, sealed: bytes) -> bytes:
        """The same under the first key. Errors: NoSecretKey."""
        try:
            return self._needed().rotate(sealed)
        except InvalidToken:
            raise NoSecretKey("secret_keys has not the key of a password that is kept", field="secret_keys") from None

    def hashes(self, text: str) -> list[bytes]:
        """What a text hashes to, by each key; the first one is what is kept. Errors: NoSecretKey."""
        self._needed()
        return [hmac.digest(key, text.encode(), "sha256") for key in self._hashing]

    def _needed(self) -> MultiFernet:
        if self._fernet is None:
            raise NoSecretKey("passwords of phones and codes need a key: set secret_keys", field="secret_keys")
        return self._fernet
