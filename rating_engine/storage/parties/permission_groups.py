"""Permission groups, and who is in them."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists
from rating_engine.domain.party import PartyKind
from rating_engine.domain.permission import Permission
from rating_engine.domain.permission_group import NewPermissionGroup, PermissionGroup
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_GROUPS: Final = "SELECT group_id, name, kind, permissions, description FROM permission_groups"
_BY_NAME: Final = f"{_GROUPS} WHERE name = $1"  # a constant
_BY_ID: Final = f"{_GROUPS} WHERE group_id = $1"
_LIST: Final = f"{_GROUPS} ORDER BY name"
_ADD: Final = """
    INSERT INTO permission_groups (name, kind, permissions, description) VALUES ($1, $2, $3, $4) RETURNING group_id
"""
_GIVE: Final = """
    INSERT INTO permission_members (party_id, group_id) VALUES ($1, $2)
    ON CONFLICT (party_id) DO UPDATE SET group_id = EXCLUDED.group_id
"""


async def find_group(questions: Questions, which: str | int) -> PermissionGroup | None:
    """By its name or number; None: there is none. Errors: Unavailable."""
    row = await questions.fetchrow(_BY_NAME if isinstance(which, str) else _BY_ID, which)
    return None if row is None else _group_from_row(row)


async def list_groups(questions: Questions) -> list[PermissionGroup]:
    """All of them, by name. Errors: Unavailable."""
    return [_group_from_row(row) for row in await questions.fetch(_LIST)]


async def add_group(tx: Transaction, new: NewPermissionGroup) -> int:
    """Its number. Errors: AlreadyExists, Unavailable."""
    try:
        number: int = await tx.fetchval(_ADD, new.name, new.kind, sorted(new.permissions), new.description)
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"permission group {new.name!r} exists", field="name") from None
    return number


async def set_permissions(tx: Transaction, group_id: int, permissions: frozenset[Permission]) -> None:
    """What its members may manage from now on. Errors: Unavailable."""
    await tx.execute("UPDATE permission_groups SET permissions = $2 WHERE group_id = $1", group_id, sorted(permissions))


async def remove_group(tx: Transaction, group_id: int) -> None:
    """Nobody is in it any more. Errors: Unavailable."""
    await tx.execute("DELETE FROM permission_members WHERE group_id = $1", group_id)
    await tx.execute("DELETE FROM permission_groups WHERE group_id = $1", group_id)


async def give_group(tx: Transaction, party_id: int, group_id: int | None) -> None:
    """Put a party into a group; None: into none. Errors: Unavailable."""
    if group_id is None:
        await tx.execute("DELETE FROM permission_members WHERE party_id = $1", party_id)
    else:
        await tx.execute(_GIVE, party_id, group_id)


def _group_from_row(row: asyncpg.Record) -> PermissionGroup:
    return PermissionGroup(
        **{
            **row,
            "kind": PartyKind(row["kind"]),
            "permissions": frozenset(map(Permission, row["permissions"])),
        }
    )
