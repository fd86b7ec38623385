"""The section DID of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "dids_get",
        Source.RESTATED,
        parameters=(
            Parameter("search_did_number"),
            Parameter("search_status"),
            Parameter("search_did_owner"),
            Parameter("search_dialplan"),
            Parameter("search_user"),
            Parameter("search_device"),
            Parameter("search_provider"),
            Parameter("search_language"),
            Parameter("search_hide_terminated_dids"),
            Parameter("from"),
            Parameter("max_results"),
        ),
        errors=(
            "Incorrect hash",
            "Access Denied",
            "No DIDs found",
        ),
        roles=MANAGERS,
        permission=Permission.DIDS,
    ),
    Function(
        "did_create",
        Source.RESTATED,
        parameters=(
            Parameter("provider_id", required=True),
            Parameter("did", required=True),
        ),
        hashed=("provider_id", "did"),
        lenient=(("provider_id",),),
        errors=(
            "Incorrect hash",
            "Access Denied",
            "Provider was not found",
            "Your are not authorized to use this Provider",
            "You are not authorized to manage DIDs",
            "DID already exists",
            "Invalid DID specified",
            "DID creation failed",
        ),
        roles=MANAGERS,
        permission=Permission.DIDS,
    ),
    Function(
        "did_device_assign",
        Source.RESTATED,
        parameters=(
            Parameter("device_id", required=True),
            Parameter("did", required=True),
        ),
        hashed=("device_id", "did"),
        lenient=(("device_id",),),
        errors=(
            "Incorrect hash",
            "Access Denied",
            "Device was not found",
            "DID was not found",
            "Your are not authorized to use this Device",
            "You are not authorized to manage DIDs",
            "Your are not authorized to use this DID",
            "DID is terminated",
            "DID is not free",
            "Device was not assigned",
        ),
        older=("did_assign_device",),
        roles=MANAGERS,
        permission=Permission.DIDS,
    ),
    Function(
        "did_device_unassign",
        Source.RESTATED,
        parameters=(Parameter("did", required=True),),
        hashed=("did",),
        lenient=((),),
        errors=(
            "Incorrect hash",
            "Access Denied",
            "Device was not found",
            "DID was not found",
            "You are not authorized to manage DIDs",
            "Your are not authorized to use this DID",
            "DID is terminated",
            "DID is already free",
            "DID is assigned to dialplan",
        ),
        older=("did_unassign_device",),
        roles=MANAGERS,
        permission=Permission.DIDS,
    ),
    Function(
        "did_details_update",
        Source.DOCUMENTED,
        parameters=(
            Parameter("did_id", required=True),
            Parameter("call_limit"),
        ),
        hashed=("did_id",),
        errors=(
            "Call limit is incorrect format",
            "DID was not found",
            "Access Denied",
            "Incorrect hash",
        ),
        roles=MANAGERS,
        permission=Permission.DEVICES,
    ),
    Function(
        "did_subscription_stop",
        Source.RESTATED,
        parameters=(Parameter("did_id", required=True),),
        hashed=("did_id",),
        errors=(
            "DID is not assigned to Device",
            "DID was not found",
            "Access Denied",
            "Incorrect hash",
        ),
        roles=MANAGERS,
        permission=Permission.DIDS,
    ),
)
