"""What can go wrong in the demo beside the errors of its parts."""

from __future__ import annotations

from rating_engine.domain.errors import RatingEngineError


class DemoError(RatingEngineError):
    """Something the user has to mend before the demo can work; says what to do."""

    code = "demo"


class DemoFailedError(DemoError):
    """An answer, a balance or a money law was not as it must be."""
