"""An exchange whose every word a test decides, in place of a connection to one; time in it passes as the test says."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rating_engine.domain.callback import CallbackOrder
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.phone_state import HeardPhone
from rating_engine.domain.watching import FailedLogin, LiveChannel, SeenCall

BRIDGED = "a-bridge"


@dataclass
class ScriptedExchange:
    """`channels`: what the list of channels says; `views`: what was seen; `unreachable`: nobody answers."""

    exchange: str = "test"
    session: int = 1
    connected_at: float = field(default_factory=time.monotonic)
    channels: list[LiveChannel] = field(default_factory=list)
    views: dict[str, SeenCall] = field(default_factory=dict)
    answers: list[SeenCall] = field(default_factory=list)
    ends: list[SeenCall] = field(default_factory=list)
    notes: dict[str, tuple[float, str]] = field(default_factory=dict)
    phones: list[HeardPhone] = field(default_factory=list)
    heard_phones: list[HeardPhone] = field(default_factory=list)
    unreachable: bool = False
    gone: set[str] = field(default_factory=set)
    limits: dict[str, float] = field(default_factory=dict)  # when the exchange itself cuts each called channel
    told: dict[str, int] = field(default_factory=dict)  # RATING_MAX_SECONDS of each caller
    hung_up: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    calls_back: bool = True
    called_back: list[tuple[str, str, str]] = field(default_factory=list)

    def talk(self, uniqueid: str, seconds: float = 0.0) -> SeenCall:
        """A call answered so many seconds ago, and what is seen of it."""
        answered = time.monotonic() - seconds
        view = SeenCall(uniqueid, f"SIP/{uniqueid}", called_channel=f"SIP/trunk-{uniqueid}", answered_at=answered)
        self.views[uniqueid] = view
        self.channels.append(LiveChannel(uniqueid, f"SIP/{uniqueid}", BRIDGED))
        return view

    def end(self, uniqueid: str, *, seconds_ago: float = 0.0, cause: int = 16) -> None:
        """The call's hangup was seen."""
        view = self.views[uniqueid]
        ended = time.monotonic() - seconds_ago
        self.views[uniqueid] = SeenCall(
            uniqueid, view.channel, view.called_channel, view.answered_at, ended, cause, alive=False
        )
        self.channels = [channel for channel in self.channels if channel.uniqueid != uniqueid]

    async def run(self) -> None:
        """Nothing to follow."""

    def seen(self, uniqueid: str) -> SeenCall | None:
        return self.views.get(uniqueid)

    def take_answers(self) -> list[SeenCall]:
        answers, self.answers = self.answers, []
        return answers

    @property
    def rings_lines(self) -> bool:
        return False

    def steers(self, uniqueid: str) -> bool:
        return True

    def take_failed_logins(self) -> list[FailedLogin]:
        return []

    def take_ends(self) -> list[SeenCall]:
        ends, self.ends = self.ends, []
        return ends

    def take_phones(self) -> list[HeardPhone]:
        heard, self.heard_phones = self.heard_phones, []
        return heard

    async def list_phones(self) -> list[HeardPhone]:
        self._answer()
        return list(self.phones)

    async def list_channels(self) -> list[LiveChannel]:
        self._answer()
        return list(self.channels)

    async def read_answer(self, channel: str) -> tuple[float, str] | None:
        self._answer()
        return self.notes.get(channel)

    async def set_limit(self, caller: str, called: str, *, seconds_left: float, max_seconds: int) -> bool:
        self._answer()
        if called in self.gone:
            return False
        self.limits[called] = time.monotonic() + seconds_left
        self.told[caller] = max_seconds
        return True

    async def hang_up(self, channel: str) -> bool:
        self._answer()
        self.hung_up.append(channel)
        return True

    async def call_back(self, order: CallbackOrder, callerid: str) -> bool:
        self._answer()
        self.called_back.append((order.first, order.second, callerid))
        return self.calls_back

    async def warn(self, channel: str) -> None:
        self._answer()
        self.warned.append(channel)

    def _answer(self) -> None:
        if self.unreachable:
            raise Unavailable("the exchange does not answer")
