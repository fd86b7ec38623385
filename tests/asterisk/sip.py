"""Two Asterisks that speak SIP over loopback: the operator's exchange with the shipped file and its own PJSIP
endpoints, and the world outside, which plays the phones and the carrier."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.asterisk.exchange import Exchange
from tests.support.servers import free_port

# A phone for each test, with the balance of its account.
PHONES: Final = {
    "talker": "10",
    "pauper": "0.02",
    "canceller": "10",
    "roamer": "10",
    "broke": "0",
    "asker": "10",
    "orphan": "10",
    "forwarded": "10",
}
MODULES: Final = """
chan_pjsip codec_ulaw func_pjsip_endpoint res_geolocation res_pjproject res_pjsip res_pjsip_acl res_pjsip_caller_id
res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user res_pjsip_pubsub res_pjsip_rfc3326
res_pjsip_sdp_rtp res_pjsip_session res_rtp_asterisk res_sorcery_astdb res_sorcery_config res_sorcery_memory
res_statsd
"""
RTP: Final = "[general]\nicesupport=no\n"
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
media_address=127.0.0.1
bind_rtp_to_media_address=yes
"""
_PHONE: Final = """
[{name}](endpoint)
context=phones
accountcode={name}
identify_by=username
"""
_TRUNK: Final = """
[{name}](endpoint)
context={context}
aors={name}
{more}
[{name}]
type=aor
contact=sip:127.0.0.1:{port}
"""
_WORLD_IDENTIFIES: Final = """
[from-exchange](endpoint)
context=carrier
[from-exchange]
type=identify
endpoint=from-exchange
match=127.0.0.1
"""
_EXCHANGE_DIALPLAN: Final = """
[globals](+)
RATING_ENGINE=127.0.0.1:{port}
RATING_RING_SECONDS=5
[phones]
include => rating-outbound
"""
_WORLD_DIALPLAN: Final = """
[globals](+)
RATING_ENGINE=127.0.0.1:1
; a phone: dials through the exchange and notes how it was answered
[phone-of]
exten => _X.,1,Dial(PJSIP/${EXTEN}@${FROM})
 same => n,Set(SIP_ANSWER=${HANGUPCAUSE(${HANGUPCAUSE_KEYS()},tech)})
; the carrier: the third digit says what happens, the last for how many seconds
[carrier]
exten => _491X.,1,Answer()
 same => n,GotoIf($[${EXTEN:-1} = 0]?ever)
 same => n,Wait(${EXTEN:-1})
 same => n,Hangup(16)
 same => n(ever),Wait(60)
exten => _492X.,1,Ringing()
 same => n,Wait(60)
exten => _493X.,1,Transfer(sip:4910000001@127.0.0.1)
"""


def sip_pair(root: Path, engine_port: int) -> tuple[Exchange, Exchange]:
    """Return the exchange (shipped RATING_TECH) and the world around it, neither started."""
    inside, outside = free_port(), free_port()
    phones = "".join(_PHONE.format(name=name) for name in PHONES)
    carrier = _TRUNK.format(name="carrier", context="nobody-calls-in", port=outside, more="")
    exchange = Exchange(
        root,
        _EXCHANGE_DIALPLAN.format(port=engine_port),
        modules=MODULES,
        files={"pjsip.conf": _TRANSPORT.format(port=inside) + phones + carrier, "rtp.conf": RTP},
    )
    lines = "".join(
        _TRUNK.format(name=f"as-{name}", context="carrier", port=inside, more=f"from_user={name}") for name in PHONES
    )
    world = Exchange(
        root,
        _WORLD_DIALPLAN,
        modules=MODULES + " app_transfer func_hangupcause",
        files={"pjsip.conf": _TRANSPORT.format(port=outside) + lines + _WORLD_IDENTIFIES, "rtp.conf": RTP},
    )
    return exchange, world
