"""Who asks for a change: every management call says so, and the audit log keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rating_engine.domain.party import SYSTEM, Level, Party, PartyKind
from rating_engine.domain.permission import Permission

NOBODYS: Final = 0  # the realm of who is no party yet: nothing belongs there


@dataclass(frozen=True, slots=True)
class Principal:
    """One asker. `party` is whose authority it is, `key` names the credential, `address` is where it came from.

    `level` is what it may do at most, `surface` the door it came through. `party_id`: the party's number; None: nobody
    of the parties. `realm`: the party whose tree it may see and change. `scopes` (of its key) None: all.
    `moves_money`: whether it may post to accounts, as an accountant may not whose group does not say so. `key_level`:
    of a server key, which may ask for more methods than its user could; what it sees and changes by them is for the
    user's level to say. `kind` and `permissions`: of the party; what its permission group lets it manage.
    """

    party: str
    level: Level
    surface: str
    key: str | None = None
    address: str | None = None
    party_id: int | None = None
    realm: int = SYSTEM
    scopes: frozenset[str] | None = None
    moves_money: bool = True
    key_level: Level | None = None
    kind: PartyKind | None = None
    permissions: frozenset[Permission] = frozenset()

    @property
    def method_level(self) -> Level:
        """What says which methods of a surface it may ask for."""
        return self.level if self.key_level is None else self.key_level

    @property
    def sees_all(self) -> bool:
        """Whether what it may see is not bounded by a tree: the system's is all there is."""
        return self.realm == SYSTEM


def principal_of(
    party: Party, surface: str, *, address: str | None = None, key: str | None = None,
    key_level: Level | None = None, scopes: frozenset[str] | None = None,
) -> Principal:  # fmt: skip
    """A party that asks by a surface, with the key of this name if any."""
    return Principal(
        party=party.login,
        level=party.level,
        surface=surface,
        key=key,
        address=address,
        party_id=party.party_id,
        realm=party.realm,
        scopes=scopes,
        moves_money=party.kind is not PartyKind.ACCOUNTANT or Permission.FINANCIAL_DATA in party.permissions,
        key_level=key_level,
        kind=party.kind,
        permissions=party.permissions,
    )


OPERATOR: Final = Principal(party="operator", level=Level.OPERATOR, surface="cli")  # who can read the settings file
ENGINE: Final = Principal(party="engine", level=Level.ENGINE, surface="engine")  # what the engine does by itself
