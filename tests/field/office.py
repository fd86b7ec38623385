"""A small office on a real Asterisk: phones, two carriers, ring groups, queues, a car park; the shipped file as it is.

Whoever speaks SIP here is a small phone (tests/asterisk/phone), the carriers too: what their legs note is the trace
that a charge is held against. A number says what its carrier does: the third digit how it takes the call, the last one
how many seconds its party talks before hanging up (0: for ever).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rating_engine.storage.postgres.pool import Database
from tests.asterisk.exchange import Exchange
from tests.asterisk.pbx import PRICE, TOLERANCE_MS, Pbx, until
from tests.asterisk.phone import Leg, Phone
from tests.asterisk.sip import MODULES, RTP
from tests.asterisk.tones import write_tone
from tests.support.servers import free_port
from tests.support.world import add_account, publish_deck

ALICE, BOB, CAROL, NOBODY, POOR, OWNER, SHORT, CROWD = "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008"
CARRIERS: Final = ("carrier1", "carrier2")
ACCOUNTS: Final = (ALICE, BOB, CAROL, POOR, OWNER, SHORT, CROWD)
RING_GROUP, RING_GROUP_N, QUEUE, QUEUE_N = "600", "601", "610", "611"
GROUP_OF_TWO = "603"
GROUP_OF_PHONES, QUEUE_OF_PHONES = "602", "612"  # BOB's
PARK: Final = "700"
ACCESS: Final = "850"  # of calling cards
CARDS: Final = "851"  # of those that the engine keeps
CARD_SECRET: Final = "office-secret"
SECRET_KEY: Final = "b2ZmaWNlLW9mZmljZS1vZmZpY2Utb2ZmaWNlLW9mZmk="  # of cards that the engine keeps
ANSWERS: Final = "4910000"
RINGS: Final = "4920000"
BUSY: Final = "4930000"
UNAVAILABLE_FIRST: Final = "4940000"
EARLY: Final = "4950000"
RINGS_A_SECOND: Final = "4970000"
CROWDED: Final = "4960000"  # answered by SIPp, which plays the trunk `crowd`
CROWD_SECONDS: Final = 3  # that CROWD may call
CROWD_CALLS: Final = 60  # that its money is enough for, to the last cent
OUTSIDE_MEMBERS: Final = {RING_GROUP: "600", RING_GROUP_N: "601", QUEUE: "610", QUEUE_N: "611"}  # …of ANSWERS, then 0

_PJSIP: Final = """
[global]
type=global
endpoint_identifier_order=username,ip
[loopback]
type=transport
protocol=udp
bind=127.0.0.1:{port}
[endpoint](!)
type=endpoint
identify_by=username
disallow=all
allow=ulaw
direct_media=no
media_address=127.0.0.1
bind_rtp_to_media_address=yes
"""
_ENDPOINT: Final = """
[{name}](endpoint)
aors={name}
context={context}
accountcode={account}
[{name}]
type=aor
contact=sip:{name}@127.0.0.1:{port}
"""
DIALPLAN: Final = """
#include rating-balance.conf
#include rating-calling-card.conf
#include rating-cards.conf
#include rating-callback.conf
#include rating-inbound.conf
[globals](+)
RATING_ENGINE=127.0.0.1:{engine}
RATING_QUERY=?exchange={name}
RATING_RING_SECONDS=5
RATING_CARD_SECRET={card_secret}
KEYS=
{settings}

[phones]
exten => *225,1,Goto(rating-balance-line,s,1)
exten => 850,1,Goto(rating-card,s,1)
exten => 851,1,Goto(rating-cards,s,1)
exten => _1XXX,1,Dial(PJSIP/${{EXTEN}},20,${{KEYS}})
; by the rules of a line, as phones.conf does
exten => _*81XXX,1,Gosub(rating-line,s,1(${{EXTEN:2}}))
 same => n,Hangup(${{RATING_CAUSE}})
exten => 600,1,Dial(Local/49100006000@phones&PJSIP/1009,20)
exten => 601,1,Dial(Local/49100006010@phones/n,20)
exten => 610,1,Queue(outside,,,,20)
exten => 611,1,Queue(outside-n,,,,20)
exten => 603,1,Dial(Local/49100006030@phones&Local/49200006030@phones,20)
exten => 602,1,Dial(Local/1002@phones,20)
exten => 612,1,Queue(desk,,,,20)
include => parkedcalls
include => rating-outbound

; what the carriers send: to a phone, and to the group, for which its owner pays
[from-trunk]
exten => _1XXX,1,Dial(PJSIP/${{EXTEN}},20,${{KEYS}})
exten => _6XX,1,Set(CHANNEL(accountcode)=1006)
 same => n,Goto(phones,${{EXTEN}},1)
; as it should not be: whoever a trunk transfers gets out
exten => _8X.,1,Goto(rating-outbound,${{EXTEN:1}},1)
; the numbers of the office
include => rating-inbound

; what is said of money and time, without a phone
[words]
exten => s,1,Answer()
 same => n,Gosub(rating-say-money,s,1(${{AMOUNT}},${{CURRENCY}}))
 same => n,Gosub(rating-say-time,s,1(${{SECONDS}}))
 same => n,Playback(hello)
 same => n,Hangup(16)

; callback: the first leg is rated, and what it is connected to as well
[callback]
exten => _X.,1,Gosub(rating-call,s,1(${{EXTEN}},1001))
"""
_FILES: Final = {
    "rtp.conf": RTP,
    "queues.conf": """[general]
[outside]
strategy=ringall
timeout=15
member => Local/49100006100@phones
[outside-n]
strategy=ringall
timeout=15
member => Local/49100006110@phones/n
[desk]
strategy=ringall
timeout=15
member => PJSIP/1002
""",
    "res_parking.conf": """[general]
[default]
parkext => 700
parkpos => 701-720
context => parkedcalls
parkingtime => 30
""",
    "musiconhold.conf": "[general]\n",
    "ccss.conf": "[general]\n",
}
_FEATURES: Final = """[general]
transferdigittimeout = 1
featuredigittimeout = 800
transferannouncesound = {beep}
xfersound = {beep}
xferfailsound = {beep}
[featuremap]
blindxfer => ##
atxfer => *2
"""
_MODULES: Final = (
    MODULES
    + " app_db app_mixmonitor app_read app_record app_system codec_gsm format_gsm func_cut func_db func_lock func_sha1"
    + " app_queue app_chanspy bridge_holding bridge_softmix format_wav func_hangupcause res_musiconhold res_parking"
    + " res_pjsip_diversion res_pjsip_dtmf_info res_pjsip_refer res_fax res_fax_spandsp"
)


async def carrier(leg: Leg) -> None:
    """What a carrier does with a call, by its number."""
    kind, talks = leg.number[:3], int(leg.number[-1])
    if kind == "492":
        return await leg.ring()
    if kind == "493":
        return await leg.refuse(486)
    if kind == "494" and leg.phone.name == CARRIERS[0]:
        return await leg.refuse(503)
    if kind == "497":
        await leg.ring()
        await leg.talk(1)
    if kind == "495":
        await leg.play_early()
        await leg.talk(1)
    await leg.answer()
    if talks:
        await leg.talk(talks)
        await leg.hang_up()
    return None


def charged_for(seconds: float) -> int:
    """What the shipped file charges for a conversation of so many seconds by the carrier's trace."""
    return max(1, math.ceil(seconds - TOLERANCE_MS / 1000))


class Office:
    """The exchange and whoever is plugged into it; `site` 2 is a second one, with phones and carriers of its own."""

    def __init__(self, root: Path, engine_port: int, *, name: str = "office", settings: str = "") -> None:
        self.port = free_port()
        self.name = name
        self.phones = {login: Phone(login, self.port) for login in (*ACCOUNTS, NOBODY)}
        self.crowd_port = free_port()
        self.carriers = {each: Phone(each, self.port) for each in CARRIERS}
        for each in self.carriers.values():
            each.on_call = carrier
        endpoints = [(login, "phones", login if login in ACCOUNTS else "") for login in self.phones]
        endpoints += [(each, "from-trunk", "") for each in (*CARRIERS, "crowd")]
        ports = {each.name: each.port for each in (*self.phones.values(), *self.carriers.values())}
        ports["crowd"] = self.crowd_port
        pjsip = _PJSIP.format(port=self.port) + "".join(
            _ENDPOINT.format(name=each, context=context, account=account, port=ports[each])
            for each, context, account in endpoints
        )
        self.exchange = Exchange(
            root,
            DIALPLAN.format(engine=engine_port, name=name, settings=settings, card_secret=CARD_SECRET),
            modules=_MODULES,
            files={"pjsip.conf": pjsip, **_FILES},
            short_sounds=True,
        )
        self.exchange.add_file("features.conf", _FEATURES.format(beep=self.exchange.spool_inside / "beep"))
        write_tone(self.exchange.spool / "beep.wav", 440, 0.1)


@dataclass
class Scene:
    """One test in the office: its calls, and what was charged since it began."""

    pbx: Pbx
    office: Office
    before: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def phone(self, login: str) -> Phone:
        return self.office.phones[login]

    def carrier(self, number: int = 1) -> Phone:
        return self.office.carriers[CARRIERS[number - 1]]

    async def carrier_leg(self, number: str, carrier: int = 1) -> Leg:
        """Wait until the carrier has a call to this number that no test has asked for; return it, answered."""
        found: list[Leg] = []

        async def there() -> bool:
            found[:] = [leg for leg in self.carrier(carrier).calls if leg.number == number and not leg.seen]
            return bool(found) and found[0].answered_at is not None

        await until(there)
        found[0].seen = True
        return found[0]

    async def idle(self) -> None:
        """Wait until no call is left on the exchange."""
        await until(self.office.exchange.idle)

    async def over(self) -> None:
        """Wait until no call is left, on the exchange or in the books."""
        await until(self.office.exchange.idle)
        for login in ACCOUNTS:
            await until(lambda login=login: self.pbx.no_open_call(login))

    async def charges(self) -> dict[str, list[Any]]:
        """The CDRs of this test by who pays, once all calls are over; accounts without any are left out."""
        await self.over()
        new = {login: (await self.pbx.cdrs(login))[self.before.get(login, 0) :] for login in ACCOUNTS}
        return {login: cdrs for login, cdrs in new.items() if cdrs}


def charged(leg: Leg, cdr: Any) -> bool:
    """Whether a CDR charges exactly what the carrier's leg says."""
    seconds = charged_for(leg.talked)
    wanted = (leg.number, seconds, PRICE * seconds)
    return (cdr["destination"], cdr["seconds"], cdr["cost"]) == wanted


async def seed(database: Database) -> None:
    """One cent a second on 49, the carriers for all of it, the crowd's trunk for its own, an account for each phone."""
    await publish_deck(database)
    for position, (name, prefix) in enumerate([("crowd", CROWDED), *((name, "49") for name in CARRIERS)], 1):
        await database.fetch(
            "INSERT INTO routes (name, number_prefix, position) VALUES ($1, $2, $3)", name, prefix, position
        )
    balances = {POOR: PRICE * 2, CROWD: PRICE * CROWD_SECONDS * CROWD_CALLS}
    for login in ACCOUNTS:
        await add_account(database, login, balance=str(balances.get(login, 1000)))
    for login, seconds in ((SHORT, 2), (CROWD, CROWD_SECONDS)):
        await database.fetch(
            "UPDATE accounts SET max_call_seconds = $1 "
            "WHERE account_id = (SELECT account_id FROM subscribers WHERE login = $2)",
            seconds,
            login,
        )
