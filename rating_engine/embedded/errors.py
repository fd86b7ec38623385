"""What can go wrong with an embedded server, in words its user can act on."""

from __future__ import annotations

from rating_engine.domain.errors import RatingEngineError


class EmbeddedError(RatingEngineError):
    """An embedded server could not be found, started or kept; the message says what to do."""

    code = "embedded"
