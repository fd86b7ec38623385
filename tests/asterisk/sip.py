"""Two Asterisks that speak SIP over loopback: the operator's exchange with the shipped file and its own PJSIP
endpoints, and the world outside, which plays the phones and the carriers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rating_engine.storage.postgres.pool import Database
from tests.asterisk.exchange import Call, Exchange
from tests.asterisk.pbx import Pbx, until
from tests.support.servers import free_port
from tests.support.world import add_account, publish_deck

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
    "tester": "100",
    "p01": "10",
    "4930777": "10",
}
GONE_FIRST: Final = "4910000009"  # its first route leads to a trunk nobody configured
SAYS: Final = "49410"  # the first of two routes ends it with the cause of the next three digits (000: none) at once
RINGS_AND_SAYS: Final = "49411"  # the same, after it has rung
SILENT_FIRST: Final = "49420"  # the first of two routes never says anything
WATCHED_FIRST: Final = "49421"  # the same, and the exchange asks it every second whether it is there
ROUTES: Final = (  # name, prefix it dials, numbers it serves, position
    ("gone", "", GONE_FIRST, 1),
    ("silent", "", SILENT_FIRST, 2),
    ("watched", "", WATCHED_FIRST, 2),
    ("first", "1", "4941", 3),
    ("second", "2", "494", 4),
    ("carrier", "", "49", 5),
)
MODULES: Final = """
app_playback chan_pjsip codec_ulaw format_wav func_hangupcause func_pjsip_endpoint
res_geolocation res_pjproject res_pjsip res_pjsip_acl res_pjsip_caller_id
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
_WATCHED: Final = "qualify_frequency=1\nqualify_timeout=0.3\n"  # behind a trunk's aor
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
exten => _[*#0-9]X.,1,Dial(PJSIP/${EXTEN}@${FROM})
 same => n,Set(SIP_ANSWER=${HANGUPCAUSE(${HANGUPCAUSE_KEYS()},tech)})
 same => n,Set(HEARD_EARLY=${PROGRESSTIME_MS})
; the carrier: the third digit says what happens, the last for how many seconds
[carrier]
exten => _491X.,1,Answer()
 same => n,GotoIf($[${EXTEN:-1} = 0]?ever)
 same => n,Wait(${EXTEN:-1})
 same => n,Hangup(16)
 same => n(ever),Wait(60)
exten => _492X.,1,Ringing()
 same => n,Wait(60)
exten => _493X.,1,Transfer(sip:4919999999@127.0.0.1)
exten => _497000000X,1,Set(CARRIER_SAW=${CALLERID(num)})
 same => n,Answer()
 same => n,Wait(0.2)
 same => n,Hangup(16)
; what the first of two routes says: a hangup cause (000: none), at once or after it has rung
exten => _149410XXX!,1,Hangup(${EXTEN:6:3})
exten => _149411XXX!,1,Ringing()
 same => n,Wait(0.3)
 same => n,Hangup(${EXTEN:6:3})
; the second one answers
exten => _2494X.,1,Answer()
 same => n,Wait(0.2)
 same => n,Hangup(16)
"""


def sip_pair(root: Path, engine_port: int, silent_port: int, inside: int) -> tuple[Exchange, Exchange]:
    """Return the exchange (shipped RATING_TECH) and the world around it, neither started.

    `inside`: where the exchange listens for SIP. `silent_port`: where somebody takes what the trunks `silent` and
    `watched` are sent, and never says anything.
    """
    outside = free_port()
    phones = "".join(_PHONE.format(name=name) for name in PHONES)
    ports = {"carrier": outside, "first": outside, "second": outside, "silent": silent_port, "watched": silent_port}
    carriers = "".join(
        _TRUNK.format(name=name, context="nobody-calls-in", port=port, more="") for name, port in ports.items()
    )
    exchange = Exchange(
        root,
        _EXCHANGE_DIALPLAN.format(port=engine_port),
        modules=MODULES,
        files={"pjsip.conf": _TRANSPORT.format(port=inside) + phones + carriers + _WATCHED, "rtp.conf": RTP},
    )
    lines = "".join(
        _TRUNK.format(name=f"as-{name}", context="carrier", port=inside, more=f"from_user={name}") for name in PHONES
    )
    world = Exchange(
        root,
        _WORLD_DIALPLAN,
        modules=MODULES + " app_transfer",
        files={"pjsip.conf": _TRANSPORT.format(port=outside) + lines + _WORLD_IDENTIFIES, "rtp.conf": RTP},
    )
    return exchange, world


@dataclass(frozen=True)
class Sip:
    """The pair as it runs. `exchange_port`: where the exchange listens for SIP."""

    pbx: Pbx
    world: Exchange
    exchange_port: int

    async def dial(self, phone: str, number: str) -> Call:
        """Let a phone dial; the call returned is the phone's own view of it."""
        return await self.world.originate(number, "", context="phone-of", callerid="4930111", __FROM=f"as-{phone}")

    async def answered_with(self, phone: str, number: str) -> str:
        """Let a phone dial and wait for the end; return SIP's answer to it."""
        call = await self.dial(phone, number)
        await call.ended()
        await until(self.pbx.exchange.idle)
        return call.value("SIP_ANSWER")

    async def only_cdr(self, phone: str) -> Any:
        """Return the one CDR of a phone."""
        (cdr,) = await self.pbx.cdrs(phone)
        return cdr


async def seed(database: Database) -> None:
    """One cent a second on 49, the routes and the phones above."""
    await publish_deck(database)
    for name, dial_prefix, prefix, position in ROUTES:
        await database.fetch(
            "INSERT INTO routes (name, dial_prefix, number_prefix, position) VALUES ($1, $2, $3, $4)",
            name, dial_prefix, prefix, position,
        )  # fmt: skip
    for login, balance in PHONES.items():
        await add_account(database, login, balance=balance)
