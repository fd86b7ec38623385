"""Sounds of warnings: what callers of a user may hear where the balance is low.

Law: one is added and removed, and never changed: what lines have of it stays true.
"""

from __future__ import annotations

from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.warning_sound import WarningSound
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support import warning_sounds as store


class WarningSounds:
    """What one principal does with sounds."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def page(self, cursor: Cursor) -> Page[WarningSound]:
        """The oldest first. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_sounds(self._database, cursor)

    async def add(self, new: WarningSound) -> int:
        """One more; its number. Errors: AlreadyExists, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            sound_id = await store.add_sound(tx, new)
            await record(tx, "sound.add", new.file, {"sound_id": sound_id})
        return sound_id

    async def remove(self, sound_id: int) -> None:
        """Forget one that no user has. Errors: NotFound, Refused, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await record(tx, "sound.remove", await store.remove_sound(tx, sound_id), {"sound_id": sound_id})
