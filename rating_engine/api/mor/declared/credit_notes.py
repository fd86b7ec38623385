"""The section Credit notes of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "credit_notes_get",
        Source.INFERRED,
        parameters=(Parameter("user_id"),),
        hashed=("user_id",),
        errors=(
            "User was not found",
            "Incorrect hash",
            "Bad login",
        ),
        older=("credit_notes",),
        permission=Permission.INVOICES,
    ),
    Function(
        "credit_note_update",
        Source.RESTATED,
        parameters=(
            Parameter("credit_note_id", required=True),
            Parameter("status"),
            Parameter("comment"),
        ),
        hashed=("credit_note_id",),
        errors=(
            "Credit note was not saved",
            "Bad login",
            "Credit note was not found",
            "Incorrect hash",
        ),
        roles=MANAGERS,
        permission=Permission.INVOICES,
        moves_money=True,
    ),
    Function(
        "credit_note_create",
        Source.RESTATED,
        parameters=(
            Parameter("user_id", required=True),
            Parameter("price", required=True),
            Parameter("issue_date", required=True),
            Parameter("comment"),
            Parameter("number"),
        ),
        hashed=("user_id", "number"),
        errors=(
            "User was not found",
            "Incorrect hash",
            "Credit note was not created",
            "Bad login",
        ),
        roles=MANAGERS,
        permission=Permission.INVOICES,
    ),
    Function(
        "credit_note_delete",
        Source.INFERRED,
        parameters=(Parameter("credit_note_id", required=True),),
        hashed=("credit_note_id",),
        errors=(
            "Credit note was not found",
            "Incorrect hash",
            "Bad login",
        ),
        roles=MANAGERS,
        permission=Permission.INVOICES,
        moves_money=True,
    ),
)
