"""Text made speech, by a program of the machine.

Law: what is said stands in no list of processes and in no log; it is bounded in length and in time.
"""

from __future__ import annotations

from typing import Final, Protocol

from rating_engine.domain.checks import check_long_text
from rating_engine.domain.errors import NotAllowed, RatingEngineError
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal

MAX_SPOKEN: Final = 1_000  # characters: a minute or so; a caller hears no more
DEFAULT_LANGUAGE: Final = "en"


class SpeechFailed(RatingEngineError):
    """There is no program that speaks, or it failed."""

    code = "speech_failed"


class Speaker(Protocol):
    """What speaks."""

    async def speak(self, text: str, language: str) -> bytes:
        """A WAV file. Errors: SpeechFailed."""


class Speech:
    """What one principal has said."""

    def __init__(self, principal: Principal, speaker: Speaker) -> None:
        self._principal = principal
        self._speaker = speaker

    async def say(self, text: str, language: str) -> bytes:
        """A WAV file of a text. `language`: by ISO 639; '': English.

        Errors: NotAllowed (a key of too low a level), InvalidRequest (text), SpeechFailed.
        """
        if self._principal.method_level < Level.SERVER:
            raise NotAllowed(f"takes a key of level {int(Level.SERVER)}")
        check_long_text(text, "text", MAX_SPOKEN)
        return await self._speaker.speak(text, language or DEFAULT_LANGUAGE)
