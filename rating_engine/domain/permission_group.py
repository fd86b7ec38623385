"""Permission groups: what accountants and resellers of a group may manage beyond what everybody of their kind may.

Laws: an accountant without a group manages nothing; a permission never reaches beyond the tree of who
has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rating_engine.domain.checks import check_name, check_text
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.party import PartyKind
from rating_engine.domain.permission import Permission

KINDS: Final = (PartyKind.ACCOUNTANT, PartyKind.RESELLER)


@dataclass(frozen=True, slots=True)
class PermissionGroup:
    """One group. `kind`: of its members."""

    group_id: int
    name: str
    kind: PartyKind
    permissions: frozenset[Permission]
    description: str = ""


@dataclass(frozen=True, slots=True)
class NewPermissionGroup:
    """A group to be made. Raises InvalidRequest naming the field."""

    name: str
    kind: PartyKind
    permissions: frozenset[Permission] = frozenset()
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        check_text(self.description, "description")
        if self.kind not in KINDS:
            raise InvalidRequest("kind", f"is one of {', '.join(KINDS)}")
