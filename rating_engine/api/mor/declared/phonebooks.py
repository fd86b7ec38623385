"""The section Phonebooks of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import EACH, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "phonebooks_get",
        Source.RESTATED,
        parameters=(Parameter("user_id", required=True),),
        hashed=("user_id",),
        errors=(
            "No Phonebooks",
            "User was not found",
            "Incorrect hash",
        ),
        older=("phonebooks_api", "phonebooks"),
        permission=Permission.USERS,
    ),
    Function(
        "phonebook_edit",
        Source.RESTATED,
        parameters=(
            Parameter("phonebook_id", required=True),
            Parameter("number"),
            Parameter("name"),
            Parameter("speeddial"),
        ),
        hashed=EACH,
        as_sent=True,
        errors=(
            "Phonebook was not saved",
            "Phonebook was not found",
            "Incorrect hash",
            "Access Denied",
        ),
        older=("phonebook_edit_api",),
        permission=Permission.USERS,
    ),
    Function(
        "phonebook_record_create",
        Source.INFERRED,
        parameters=(
            Parameter("user_id", required=True),
            Parameter("name", required=True),
            Parameter("number", required=True),
            Parameter("speeddial"),
        ),
        hashed=("user_id", "number", "name", "speeddial"),
        errors=(
            "User was not found",
            "Phonebook was not saved",
            "Incorrect hash",
            "Access Denied",
        ),
        permission=Permission.USERS,
    ),
)
