"""An exchange whose calls an engine holds over ARI, configured as shipped, with phones and carriers of the test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rating_engine.storage.postgres.pool import Database
from tests.asterisk.exchange import CONFIG, Exchange
from tests.asterisk.phone import Phone
from tests.asterisk.sip import MODULES as SIP_MODULES
from tests.asterisk.sip import RTP
from tests.support.world import publish_deck

NAME: Final = "pbx1"  # what the engine knows it by
SECRET: Final = "not-change-me"
MODULES: Final = f"""{SIP_MODULES}
app_stasis bridge_holding bridge_simple bridge_native_rtp bridge_softmix func_pjsip_endpoint func_cut func_rand
res_websocket_client res_ari res_ari_applications res_ari_asterisk res_ari_bridges res_ari_channels res_ari_events
res_ari_model res_ari_playbacks res_http_websocket res_stasis res_stasis_answer res_stasis_playback res_stasis_recording
res_stasis_device_state res_stasis_snoop res_pjsip_refer res_pjsip_dtmf_info format_gsm codec_gsm
"""
_TRANSPORT: Final = """
[global]
type=global
endpoint_identifier_order=username,ip
[loopback]
type=transport
protocol=udp
bind=127.0.0.1:{port}
[endpoint](!)
type=endpoint
disallow=all
allow=ulaw
direct_media=no
media_address=127.0.0.1
bind_rtp_to_media_address=yes
"""
_PHONE: Final = """
[{name}](endpoint)
context=phones
accountcode={name}
identify_by=username
aors={name}
[{name}]
type=aor
contact=sip:{name}@127.0.0.1:{port}
"""
_TRUNK: Final = """
[{name}](endpoint)
context=trunks
identify_by=username
aors={name}
[{name}]
type=aor
contact=sip:127.0.0.1:{port}
"""
_DIALPLAN: Final = """
#include rating-ari.conf
[globals]
RATING_ENGINE=127.0.0.1:{engine_port}
RATING_SEATS={seats}
[phones]
include => rating-ari
[trunks]
include => rating-ari-did
{more}
"""


def shipped(name: str, changes: Mapping[str, str]) -> str:
    """A shipped file as an operator edits it."""
    text = (CONFIG / name).read_text()
    for before, after in changes.items():
        assert before in text, f"{name} has no {before!r}"
        text = text.replace(before, after)
    return text


def ari_exchange(
    root: Path,
    engine_port: int,
    http_port: int,
    sip_port: int,
    *,
    phones: Mapping[str, int],
    trunks: Mapping[str, int],
    seats: int = 1,
    more: str = "",
    short_sounds: bool = True,
) -> Exchange:
    """`phones` and `trunks`: the ports of the test's own, by login or route. `more`: of the dialplan."""
    lines = [_TRANSPORT.format(port=sip_port)]
    lines += [_PHONE.format(name=name, port=port) for name, port in phones.items()]
    lines += [_TRUNK.format(name=name, port=port) for name, port in trunks.items()]
    return Exchange(
        root,
        _DIALPLAN.format(engine_port=engine_port, seats=seats, more=more),
        modules=MODULES,
        files={
            "pjsip.conf": "".join(lines),
            "rtp.conf": RTP,
            "http.conf": shipped("http.conf", {"8088": str(http_port)}),
            "ari.conf": shipped("ari.conf", {"change-me": SECRET}),
            "rating-ari.conf": (CONFIG / "rating-ari.conf").read_text(),
        },
        short_sounds=short_sounds,
    )


def ari_url(http_port: int, *, seats: int = 1) -> str:
    """How the engine reaches it."""
    return f"{NAME}=ari://rating-engine:{SECRET}@127.0.0.1:{http_port}?seats={seats}"


def ports(them: Mapping[str, Phone]) -> dict[str, int]:
    """Where each listens."""
    return {name: phone.port for name, phone in them.items()}


async def seed(database: Database, routes: tuple[tuple[str, str], ...]) -> None:
    """One cent a second on 49; `routes`: names with the numbers that they serve, in order."""
    await publish_deck(database)
    for position, (name, prefix) in enumerate(routes, 1):
        await database.fetch(
            "INSERT INTO routes (name, number_prefix, position) VALUES ($1, $2, $3)", name, prefix, position
        )
