"""The section Quickforwards of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "quickforwards_dids_get",
        Source.RESTATED,
        errors=(
            "Quickforwards list is empty",
            "You are not authorized to use Quickforwards",
            "Incorrect hash",
            "User was not found",
        ),
        permission=Permission.DIDS,
    ),
    Function(
        "quickforwards_did_update",
        Source.RESTATED,
        parameters=(
            Parameter("did", required=True),
            Parameter("forward_to"),
            Parameter("description"),
        ),
        hashed=("did", "forward_to", "description"),
        errors=(
            "DID was not found",
            "You are not authorized to use Quickforwards",
            "Incorrect hash",
            "User was not found",
        ),
        permission=Permission.DIDS,
    ),
    Function(
        "quickforwards_did_delete",
        Source.INFERRED,
        parameters=(Parameter("did", required=True),),
        hashed=("did",),
        errors=(
            "DID was not found",
            "You are not authorized to use Quickforwards",
            "Incorrect hash",
            "User was not found",
        ),
        permission=Permission.DIDS,
    ),
)
