"""What an examination of the installation finds."""

from __future__ import annotations

from dataclasses import dataclass, field

from rating_engine.domain.errors import Hint


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, in words, and how to mend it: in words, or a hint that each surface has its own words for."""

    what: str
    mend: str = ""
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer; clean when nothing was found."""

    name: str
    claim: str
    findings: list[Finding] = field(default_factory=list)
