"""Settings of recordings: where they are, and how they are reached."""

from __future__ import annotations

from pydantic import Field

from rating_engine.settings.texts import Group


class RecordingSettings(Group):
    """Recordings of calls, messages and faxes."""

    # --- recordings
    recordings_directory: str = Field(
        "",
        description="Where the exchange keeps what rules want kept (RATING_RECORDINGS of inbound.conf), as this machine"
        " sees it. Empty: there are no recordings.",
    )
    recording_link_seconds: int = Field(
        3_600,
        ge=10,
        le=604_800,
        description="How long a link to a recording works. Whoever has the link may listen until then.",
    )
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]{1,200})?$",
        description="How users reach the HTTP port, as https://billing.example.org. Stands in links to recordings."
        " Empty: as the request was asked; and no mail of messages and faxes is sent, since it has nothing to link to.",
    )
