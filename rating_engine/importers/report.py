"""What an import did to each rule and row, in words and numbers, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

MAX_EXAMPLES: Final = 3  # of one finding; all of the rejected rows are in their file


class Kind(StrEnum):
    """What became of something."""

    MAPPED = "mapped"  # costs the same here
    OTHERWISE = "priced otherwise"  # costs something else from now on
    LEFT_OUT = "left out"  # has no counterpart here, or is no part of a rate card
    REJECTED = "rejected"  # could not be read


@dataclass(slots=True)
class Finding:
    """One rule, met `count` times. `code` names it for programs, `text` says what and why."""

    kind: Kind
    code: str
    text: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """The findings of one import, in the order in which they were met."""

    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, kind: Kind, code: str, text: str, *, count: int = 1, example: str = "") -> None:
        """Count one more of a finding; its text is that of the first."""
        finding = self.findings.get(code)
        if finding is None:
            finding = self.findings[code] = Finding(kind, code, text)
        finding.count += count
        if example and len(finding.examples) < MAX_EXAMPLES:
            finding.examples.append(example)

    def count(self, code: str) -> int:
        """How often it was met."""
        finding = self.findings.get(code)
        return finding.count if finding else 0

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of a kind."""
        return [finding for finding in self.findings.values() if finding.kind is kind]

    def lines(self) -> Iterator[str]:
        """The report as text."""
        for kind in Kind:
            findings = self.of(kind)
            if not findings:
                continue
            yield f"{kind.value}:"
            for finding in findings:
                examples = f" (e.g. {'; '.join(finding.examples)})" if finding.examples else ""
                yield f"  {finding.count:>9,}  {finding.text}{examples}"
            yield ""

    def to_json(self) -> list[dict[str, Any]]:
        """The report for programs."""
        return [
            {
                "kind": finding.kind.value,
                "code": finding.code,
                "text": finding.text,
                "count": finding.count,
                "examples": finding.examples,
            }
            for kind in Kind
            for finding in self.of(kind)
        ]
