"""The section Conflines of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import ADMIN_ONLY, Function, Parameter, Source

ENTRIES: Final = (
    Function(
        "conflines_update",
        Source.RESTATED,
        parameters=(
            Parameter("secret_key", required=True),
            Parameter("allow_api"),
            Parameter("api_secret_key"),
            Parameter("default_user_password_length"),
            Parameter("default_user_credit"),
            Parameter("default_user_balance"),
            Parameter("default_user_postpaid"),
            Parameter("default_user_allow_loss_calls"),
            Parameter("default_user_call_limit"),
            Parameter("default_user_time_zone"),
            Parameter("default_user_currency"),
            Parameter("default_user_quickforwards_rule_id"),
            Parameter("default_user_recording_enabled"),
            Parameter("default_user_recording_forced_enabled"),
            Parameter("default_device_call_limit"),
            Parameter("default_device_canreinvite"),
            Parameter("default_device_nat"),
            Parameter("default_device_qualify"),
            Parameter("default_device_grace_time"),
            Parameter("default_device_audio_codecs"),
            Parameter("default_device_video_codecs"),
        ),
        hashed=("secret_key",),
        errors=(
            "Incorrect hash",
            "Access Denied",
        ),
        roles=ADMIN_ONLY,
        by_post=True,
    ),
)
