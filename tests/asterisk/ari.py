"""An exchange whose calls an engine holds over ARI, made as docs/ari.md says, with phones and carriers of the test.

The files are those that the page has copied, edited as it says; extensions.conf and the engine's setting are its
blocks.
"""

from __future__ import annotations

import array
import re
import tomllib
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rating_engine.storage.postgres.pool import Database
from tests.asterisk.exchange import CONFIG, Exchange
from tests.asterisk.page import PROJECT, Block, blocks
from tests.asterisk.phone import Phone
from tests.asterisk.sip import MODULES as SIP_MODULES
from tests.asterisk.sip import RTP
from tests.support.world import publish_deck

NAME: Final = "pbx1"  # what the engine knows it by
SECRET: Final = "not-change-me"
MODULES: Final = f"""{SIP_MODULES}
app_stasis bridge_holding bridge_simple bridge_native_rtp bridge_softmix func_pjsip_endpoint func_cut func_md5 func_rand
res_websocket_client res_ari res_ari_applications res_ari_asterisk res_ari_bridges res_ari_channels res_ari_events
res_ari_model res_ari_playbacks res_http_websocket res_stasis res_stasis_answer res_stasis_playback res_stasis_recording
res_musiconhold app_mixmonitor app_voicemail app_record app_system res_fax res_fax_spandsp
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
PAGE: Final = "ari.md"
PART: Final = "ARI in ten"  # of the page: what an operator does
EXTENSIONS, SETTINGS = "ini", "toml"  # its blocks
_COPIED: Final = re.compile(r"\]\(\.\./config/asterisk/([a-z-]+\.conf)\)")


def page_blocks() -> dict[str, Block]:
    """What the page has pasted, by its kind: one block each."""
    found = [block for block in blocks(PAGE) if block.heading == PART]
    assert [block.kind for block in found] == [EXTENSIONS, SETTINGS]
    return {block.kind: block for block in found}


def page_part(heading: str) -> str:
    """The text below a heading of the page."""
    text = (PROJECT / "docs" / PAGE).read_text()
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def copied_files() -> list[str]:
    """The shipped files that the page has copied into /etc/asterisk, in its first step."""
    return _COPIED.findall(page_part(PART).partition("\n2. ")[0])


def line_of(heading: str, start: str) -> str:
    """A line for the dialplan that the page has in its text, under a heading."""
    (line,) = {said for said in re.findall(r"`([^`\n]+)`", page_part(heading)) if said.startswith(start)}
    return str(line)


def access_line(number: str) -> str:
    """What makes a number an access number of calling cards."""
    shown = line_of("Calling cards", "exten => ")
    return re.sub(r"\d{4,}", number, shown, count=1)


MUSIC: Final = "waits"  # a class of music on hold
MUSIC_VOICE: Final = 0  # what it sounds like, in packets: no phone's voice
WARNING, WARNING_VOICE = "money-ends", 251  # the same of what a caller hears before he is cut,
LOW_BALANCE, LOW_BALANCE_VOICE = "little-left", 252  # and before it rings
MAILBOX: Final = "1001"
_MONITOR: Final = "/var/spool/asterisk/monitor/rating"
_MUSIC_CONF: Final = "[{name}]\nmode=files\ndirectory={inside}/music\n"


def give_music_and_a_place_for_recordings(exchange: Exchange) -> Path:
    """What hears who waits, and where conversations are kept, as this machine sees it. Before it starts."""
    (exchange.spool / "music").mkdir()
    _write_voice(exchange.spool / "music/one.wav", -32124, 1.0)
    for sound, level in ((WARNING, 32), (LOW_BALANCE, 24)):
        _write_voice(exchange.home / f"data/sounds/en/{sound}.wav", level, 0.5)
    exchange.add_file("musiconhold.conf", _MUSIC_CONF.format(name=MUSIC, inside=exchange.spool_inside))
    for name in ("rating-ari.conf", "rating-inbound.conf"):
        text = (exchange.home / "etc" / name).read_text()
        assert _MONITOR in text
        exchange.add_file(name, text.replace(_MONITOR, f"{exchange.spool_inside}/kept"))
    exchange.add_file("voicemail.conf", f"[general]\nformat=wav\nminsecs=0\n[default]\n{MAILBOX} => ,Anna\n")
    return exchange.spool / "kept"


def give_tls(exchange: Exchange, port: int, certificate: Path) -> None:
    """Its REST interface over TLS, beside the one without. Before it starts."""
    exchange.give("exchange.pem", certificate.read_text())
    lines = f"tlsenable = yes\ntlsbindaddr = 127.0.0.1:{port}\ntlscertfile = {exchange.spool_inside}/exchange.pem\n"
    exchange.add_file("http.conf", (exchange.home / "etc/http.conf").read_text() + lines)


def _write_voice(file: Path, level: int, seconds: float) -> None:
    """A sound that is one level from its beginning to its end: on the line it is known by one byte."""
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(array.array("h", [level] * int(8000 * seconds)).tobytes())
    file.chmod(0o644)


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
    besides: str = "",
    short_sounds: bool = True,
) -> Exchange:
    """`phones` and `trunks`: the ports of the test's own, by login or route. `more`: of the trunks' context;
    `besides`: below it."""
    edits = {
        "http.conf": {"8088": str(http_port)},
        "ari.conf": {"change-me": SECRET},
        "rating-ari.conf": {"127.0.0.1:4573": f"127.0.0.1:{engine_port}", "RATING_SEATS=1": f"RATING_SEATS={seats}"},
    }
    came_in = line_of("Calls that come in", "include => ")
    lines = [_TRANSPORT.format(port=sip_port)]
    lines += [_PHONE.format(name=name, port=port) for name, port in phones.items()]
    lines += [_TRUNK.format(name=name, port=port) for name, port in trunks.items()]
    return Exchange(
        root,
        "",
        modules=MODULES,
        files={
            "pjsip.conf": "".join(lines),
            "rtp.conf": RTP,
            **{name: shipped(name, edits[name]) for name in copied_files()},
            # All of it: nothing of rating.conf (FastAGI) is there.
            "extensions.conf": f"{page_blocks()[EXTENSIONS].text}[trunks]\n{came_in}\n{more}\n{besides}",
        },
        short_sounds=short_sounds,
    )


def ari_url(http_port: int, *, seats: int = 1) -> str:
    """How the engine reaches it, as the page has it in the settings."""
    (told,) = tomllib.loads(page_blocks()[SETTINGS].text)["ari_exchanges"]
    name, _, url = told.partition("=")
    assert name == NAME
    for shown, here in {"SECRET": SECRET, "8088": str(http_port)}.items():
        assert shown in url
        url = url.replace(shown, here)
    return f"{name}={url}?seats={seats}"


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
