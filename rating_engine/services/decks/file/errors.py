"""What is wrong with a deck file."""

from __future__ import annotations

from rating_engine.domain.errors import RatingEngineError


class DeckFileError(RatingEngineError):
    """The file as a whole cannot be imported; nothing was published. Says what to mend."""

    code = "deck_file"


class RowRejected(Exception):
    """One row cannot be taken; the others can. The message is the reason for FILE.rejected.csv."""
