"""The sound of one leg of a phone (RTP): it speaks with the phone's own voice, presses keys, notes whom it hears."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable
from typing import Final

from tests.asterisk.sip_message import DIGITS, TONES

HOST: Final = "127.0.0.1"
PACKET_SECONDS: Final = 0.02
PACKET_SAMPLES: Final = 160
HEAD_BYTES: Final = 12
KEYS: Final = "0123456789*#"
KEY_PACKETS: Final = 5
END_OF_KEY: Final = 0x80
VOLUME: Final = 10
MARKER: Final = 0x80


class Sound(asyncio.DatagramProtocol):
    """`voice`: the byte its packets are full of, by which the other side knows it. `changed` is called at any news."""

    def __init__(self, voice: int, changed: Callable[[], None]) -> None:
        self.port = 0
        self.remote_port: int | None = None
        self.silent = False
        self.heard: dict[int, int] = {}  # voices, and how many packets of each
        self.keys: list[str] = []  # still to be pressed
        self.heard_keys = ""  # of the other side
        self._voice, self._changed = voice, changed
        self._sent = 0
        self._last_key: bytes | None = None  # its moment: the packets of one key all have the same
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Bind a port, unless it is bound."""
        if self._transport is None:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
            self.port = self._transport.get_extra_info("sockname")[1]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) > HEAD_BYTES and data[1] & ~MARKER == TONES:
            voice = data[(HEAD_BYTES + len(data)) // 2]
            self.heard[voice] = self.heard.get(voice, 0) + 1
            self._changed()
        elif len(data) > HEAD_BYTES and data[1] & ~MARKER == DIGITS and data[4:8] != self._last_key:
            self._last_key = data[4:8]
            self.heard_keys += KEYS[data[HEAD_BYTES]]
            self._changed()

    async def speak(self) -> None:
        """Send the voice, or the keys that are pressed, until closed."""
        voice = bytes([self._voice]) * PACKET_SAMPLES
        for turn in itertools.count(1):
            await asyncio.sleep(PACKET_SECONDS)
            if self._transport is None or self._transport.is_closing():
                return
            if self.keys:
                await self._press(self.keys[0], turn * PACKET_SAMPLES)
                self.keys.pop(0)
                self._changed()
            elif not self.silent:
                self._send(TONES, turn * PACKET_SAMPLES, voice)

    async def _press(self, key: str, moment: int) -> None:
        for step in range(1, 2 * KEY_PACKETS + 1):
            end = END_OF_KEY if step > KEY_PACKETS else 0
            lasted = min(step, KEY_PACKETS) * PACKET_SAMPLES
            self._send(
                DIGITS | (MARKER if step == 1 else 0),
                moment,
                struct.pack("!BBH", KEYS.index(key), end | VOLUME, lasted),
            )
            await asyncio.sleep(PACKET_SECONDS)
        await asyncio.sleep(4 * PACKET_SECONDS)  # two equal keys are two

    def _send(self, kind: int, moment: int, payload: bytes) -> None:
        if self._transport is None or not self.remote_port:
            return
        self._sent += 1
        head = struct.pack("!BBHII", 0x80, kind, self._sent & 0xFFFF, moment & 0xFFFFFFFF, self._voice)
        self._transport.sendto(head + payload, (HOST, self.remote_port))
