"""The gateways of an exchange as sections of its pjsip.conf. Pure: trunks in, text out.

Laws: no value ends a line or begins a comment; each section has what a trunk needs so that its calls cost what they
should (agi/pjsip_check says the same of sections written by hand); who calls in by a trunk reaches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rating_engine.domain.gateway import Trunk

HEAD: Final = "; Written by rating-engine: a change here is lost when it is written again.\n"
NOWHERE: Final = "rating-trunks-in"  # a context that does not exist unless you write it: calls that come in are refused


def trunk_sections(trunks: Iterable[Trunk]) -> str:
    """Endpoint, AOR and credentials of each trunk, named as the route is."""
    return HEAD + sections_text(trunks)


def sections_text(trunks: Iterable[Trunk]) -> str:
    """The same without the head, for a file that has one."""
    return "".join(_sections(trunk) for trunk in trunks)


def _sections(trunk: Trunk) -> str:
    name = trunk.name
    endpoint = {
        "type": "endpoint", "context": NOWHERE, "aors": name, "disallow": "all", "allow": "alaw,ulaw",
        "direct_media": "no", "allow_transfer": "no", "rtp_timeout": "60", "rtp_timeout_hold": "600",
    }  # fmt: skip
    if trunk.secret is not None:
        endpoint["outbound_auth"] = name
    if trunk.from_user and trunk.username:
        endpoint["from_user"] = trunk.username
    sections = [endpoint, {"type": "aor", "contact": f"sip:{trunk.host}", "qualify_frequency": "30"}]
    if trunk.secret is not None:
        sections.append({"type": "auth", "auth_type": "userpass", "username": trunk.username, "password": trunk.secret})
    return "".join(
        f"\n[{name}]\n" + "".join(f"{option}={_value(value)}\n" for option, value in section.items())
        for section in sections
    )


def _value(text: str) -> str:
    """A value as it is read back: a semicolon would begin a comment."""
    return text.replace("\\", "\\\\").replace(";", "\\;")
