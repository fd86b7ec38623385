"""A running Asterisk, made for one test: own directory, own manager port, loopback only, nothing left behind.

The dialplan it runs is config/asterisk/extensions.conf as shipped, included first; the test's own text comes
after it and overrides globals with `[globals](+)`, as an operator would.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.asterisk.ami import Ami, AmiClosed, Message
from tests.asterisk.tones import write_tone
from tests.support.servers import free_port

CONFIG: Final = Path(__file__).parents[2] / "config" / "asterisk"
SHIPPED: Final = CONFIG / "extensions.conf"
BESIDES: Final = (
    "balance",
    "calling-card",
    "cards",
    "callback",
    "inbound",
)  # shipped too, as rating-NAME.conf; a test includes what it needs
START_SECONDS: Final = 90.0  # it takes less than a second; a machine under load gets time
STOP_SECONDS: Final = 10.0
CALL_SECONDS: Final = 30.0  # no call of these tests lasts longer than some seconds
USER: Final = "asterisk"
PREFIX: Final = "rating-test-"
# Only what the dialplan and the test trunks use: loading every module takes seconds and opens ports.
MODULES: Final = """
app_dial app_exec app_milliwatt app_softhangup app_stack app_verbose bridge_builtin_features
bridge_builtin_interval_features bridge_simple cdr_csv func_callerid func_cdr func_channel func_dialplan
func_global func_logic func_math func_strings func_timeout pbx_config res_agi res_speech res_timing_timerfd
"""


@dataclass
class Call:
    """A call as the exchange told it: `uniqueid` is the channel that runs the rated dialplan."""

    exchange: Exchange
    uniqueid: str
    caller_uniqueid: str
    events: list[Message] = field(default_factory=list)

    def apps(self, name: str) -> list[str]:
        """Return the arguments of every `name` the dialplan ran on this channel, in order, expanded."""
        return [event["AppData"] for event in self._own("Newexten") if event["Application"] == name]

    def values(self, variable: str) -> list[str]:
        """Return every value `variable` was given on this channel, in order."""
        return [event["Value"] for event in self._own("VarSet") if event["Variable"] == variable]

    def value(self, variable: str) -> str:
        """Return the last value of `variable`, "" if it was never set."""
        return (self.values(variable) or [""])[-1]

    def _own(self, event: str) -> list[Message]:
        return [
            message
            for message in self.exchange.ami.events
            if message.get("Event") == event and message.get("Uniqueid") == self.uniqueid
        ]

    async def ended(self, seconds: float = CALL_SECONDS) -> Message:
        """Wait until the channel is gone; return its Hangup event."""
        return await self.exchange.ami.wait_event(
            lambda e: e.get("Event") == "Hangup" and e.get("Uniqueid") == self.uniqueid, seconds
        )

    async def reached(self, wanted: Callable[[Message], bool], seconds: float = CALL_SECONDS) -> Message:
        """Wait for an event of this channel."""
        return await self.exchange.ami.wait_event(lambda e: e.get("Uniqueid") == self.uniqueid and wanted(e), seconds)

    async def answered(self) -> None:
        """Wait until the trunk has answered and both sides are connected."""
        await self.reached(lambda e: e.get("Variable") == "SHARED(RATING_ANSWERED_AT)" and e["Value"] != "")
        await self.bridged()

    async def bridged(self) -> tuple[str, ...]:
        """Wait until this call's channel talks to another one; return the names of both."""
        async with asyncio.timeout(CALL_SECONDS):
            while True:
                channels = await self.exchange.channels()
                bridges = {
                    each["BridgeId"] for each in channels if each["Uniqueid"] == self.uniqueid and each["BridgeId"]
                }
                pair = {each["Uniqueid"]: each["Channel"] for each in channels if each["BridgeId"] in bridges}
                if len(pair) == 2:
                    return pair.pop(self.uniqueid), *pair.values()
                await asyncio.sleep(0.02)

    async def own_leg(self) -> Call:
        """Return the call on the leg of its own that this one got (RATING_OWN_LEG)."""
        event = await self.exchange.ami.wait_event(
            lambda e: (
                e.get("Event") == "Newchannel"
                and "@rating-leg-" in e["Channel"]
                and e["Channel"].endswith(";2")
                and e["Linkedid"] in (self.uniqueid, self.caller_uniqueid)
            )
        )
        return Call(self.exchange, event["Uniqueid"], self.caller_uniqueid)

    async def hang_up(self) -> None:
        """The caller puts the phone down."""
        channel = await self.exchange.ami.wait_event(
            lambda e: e.get("Event") == "Newchannel" and e.get("Uniqueid") == self.caller_uniqueid
        )
        await self.exchange.ami.action("Hangup", Channel=channel["Channel"], Cause="16")


class Exchange:
    """`async with Exchange(root, dialplan)`; `kill` is a crash, `stop` a shutdown, `start` again a restart."""

    _numbers = itertools.count(1)

    def __init__(
        self,
        root: Path,
        dialplan: str,
        *,
        modules: str = "",
        files: Mapping[str, str] | None = None,
        short_sounds: bool = False,
        sample: bool = False,
    ) -> None:
        """`dialplan` goes below the shipped one; `modules` and `files` (of /etc/asterisk) are loaded besides.

        `short_sounds`: every sound file that Asterisk brings is a moment's tone, so that no test waits for words.
        `sample`: nothing is there but what Debian's package brings, and the test's way in; `dialplan` goes below its.
        """
        number = next(self._numbers)
        self.name = f"test{number}"
        self._root = root
        self._inside = Path("/srv") / f"{PREFIX}{os.getpid()}-{number}"
        self._home = root / self._inside.relative_to("/")
        self._port = free_port()
        self._secret = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._ami: Ami | None = None
        self._data = str(self._inside / "data") if short_sounds else "/usr/share/asterisk"
        if short_sounds:
            self._shorten_sounds()
        self._sample = sample
        self._write(dialplan, f"{MODULES} {modules}".split(), files or {})

    async def __aenter__(self) -> Exchange:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    async def start(self) -> None:
        """Start, unless it runs, and log in; raises AssertionError with its log when it does not come up."""
        if self._process is not None:
            return
        self._process = self._spawn()
        try:
            async with asyncio.timeout(START_SECONDS):
                self._ami = await self._log_in()
                await self._ami.wait_event(lambda e: e.get("Event") == "FullyBooted", START_SECONDS)
        except TimeoutError:
            await self.kill()
            raise AssertionError(f"Asterisk did not start:\n{self.log()[-4000:]}") from None

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = self.beside("asterisk", "-f", "-n", "-C", str(self._inside / "etc/asterisk.conf"))
        with (self._home / "log/console").open("ab") as out:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def beside(self, *command: str) -> list[str]:
        """The command line of a program of its root, run as its user."""
        inside = ["chroot", str(self._root), "setpriv", "--reuid", USER, "--regid", USER, "--init-groups"]
        return [*inside, "--pdeathsig", "KILL", *command]  # a killed test run leaves nothing behind

    async def _log_in(self) -> Ami:
        while True:
            assert self._process is not None
            assert self._process.poll() is None, f"Asterisk ended:\n{self.log()[-4000:]}"
            try:
                return await Ami.connect(self._port, "test", self._secret)
            except (OSError, AmiClosed):
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """Crash: SIGKILL, no hangup handler runs."""
        if self._process is None:
            return
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        self._process = None
        if self._ami is not None:
            await self._ami.close()

    async def stop(self) -> None:
        """End it as a service manager does; calls that are up are hung up first by Asterisk itself."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        await self.kill()

    @property
    def ami(self) -> Ami:
        """The manager connection of the latest start."""
        assert self._ami is not None, "not started"
        return self._ami

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def spool(self) -> Path:
        """A directory for a test's own files, as the test sees it."""
        return self._home / "spool"

    @property
    def spool_inside(self) -> Path:
        """The same, as Asterisk sees it."""
        return self._inside / "spool"

    @property
    def manager_port(self) -> int:
        """Where its manager interface listens, the same over restarts."""
        return self._port

    def manager_url(self, port: int | None = None) -> str:
        """How the engine logs in with config/asterisk/manager.conf as shipped; `port`: of a proxy before it."""
        return f"ami://rating-engine:{self._secret}@127.0.0.1:{port or self._port}"

    def _shipped_manager(self) -> str:
        """The shipped manager.conf as an operator edits it: his own secret, here another port."""
        text = (CONFIG / "manager.conf").read_text()
        return text.replace("port = 5038", f"port = {self._port}").replace("change-me", self._secret)

    async def cli(self, command: str) -> str:
        """Return what the console command prints."""
        answer = await self.ami.action("Command", Command=command)
        return answer[0].get("Output", "")

    async def channels(self) -> list[Message]:
        """Return the live channels (CoreShowChannels)."""
        answer = await self.ami.action("CoreShowChannels")
        return [message for message in answer if message.get("Event") == "CoreShowChannel"]

    async def idle(self) -> bool:
        """Whether no channel is left."""
        return not await self.channels()

    async def clear(self) -> None:
        """Hang up whatever is still up, and wait until it is gone; nothing of an exchange that does not run."""
        if self._process is None:
            return
        async with asyncio.timeout(CALL_SECONDS):
            while channels := await self.channels():
                for channel in channels:
                    await self.ami.action("Hangup", Channel=channel["Channel"], Cause="16")
                await asyncio.sleep(0.05)

    async def originate(
        self, number: str, login: str, *, context: str = "phones", callerid: str = "", **variables: str
    ) -> Call:
        """Let the phone of `login` dial `number`; its channel and the one that runs the dialplan are named."""
        own, other = f"{self.name}-{uuid.uuid4().hex[:12]}", f"{self.name}-{uuid.uuid4().hex[:12]}"
        await self.ami.action(
            "Originate",
            variables,
            Channel=f"Local/{number}@{context}/n",
            Application="Milliwatt",
            Account=login,
            CallerID=f"<{callerid}>",
            Timeout=str(int(CALL_SECONDS * 1000)),
            Async="true",
            ChannelId=own,
            OtherChannelId=other,
        )
        return Call(self, other, own)

    def log(self) -> str:
        """Return what Asterisk logged (notices, warnings, errors, and the dialplan's own lines)."""
        texts = [self._home / "log/full", self._home / "log/console"]
        return "".join(path.read_text(errors="replace") for path in texts if path.exists())

    @property
    def call_records(self) -> Path:
        """The file into which Asterisk writes a row for each of its calls, as it ends."""
        return self._home / "log/cdr-csv/Master.csv"

    def _write(self, dialplan: str, wanted: list[str], files: Mapping[str, str]) -> None:
        for name in ("etc", "lib", "run", "log", "log/cdr-csv", "spool"):
            (self._home / name).mkdir(parents=True, exist_ok=True)
        modules = next((self._root / "usr").glob("lib*/**/asterisk/modules"))  # releases differ in where
        inside = self._inside
        etc = {
            "asterisk.conf": f"""[directories]
astetcdir => {inside}/etc
astmoddir => /{modules.relative_to(self._root)}
astvarlibdir => {inside}/lib
astdbdir => {inside}/lib
astkeydir => {inside}/lib
astdatadir => {self._data}
astagidir => {inside}/lib
astspooldir => {inside}/spool
astrundir => {inside}/run
astlogdir => {inside}/log
[options]
systemname = {self.name}
documentation_language = en_US
""",
            "modules.conf": "[modules]\nautoload=no\n" + "".join(f"load = {name}.so\n" for name in wanted),
            "logger.conf": "[general]\nqueue_log=no\n[logfiles]\nfull => notice,warning,error,verbose(2)\n",
            "cdr.conf": "[general]\nenable=yes\nunanswered=yes\n[csv]\nloguniqueid=yes\n",
            "manager.conf": f"""{self._shipped_manager()}
[test]
secret={self._secret}
read=all
write=all
writetimeout=5000
""",
            "extensions.conf": f"#include shipped.conf\n{dialplan}",
            "shipped.conf": SHIPPED.read_text(),
            **{f"rating-{name}.conf": (CONFIG / f"{name}.conf").read_text() for name in BESIDES},
            **files,
        }
        if self._sample:
            brought = self._root / "etc/asterisk"
            shutil.copytree(brought, self._home / "etc", dirs_exist_ok=True)
            etc = {name: etc[name] for name in ("asterisk.conf", "logger.conf", "manager.conf")}
            etc["extensions.conf"] = (brought / "extensions.conf").read_text() + dialplan
        for name, text in etc.items():
            self.add_file(name, text)
        owner = (self._root / "var/lib/asterisk").stat()
        for path in [self._home, *self._home.rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def _shorten_sounds(self) -> None:
        words = self._root / "usr/share/asterisk/sounds/en_US_f_Allison"
        own = self._home / "data/sounds/en"
        own.mkdir(parents=True)
        for each in (self._root / "usr/share/asterisk").iterdir():
            if each.name != "sounds":
                (self._home / "data" / each.name).symlink_to(Path("/usr/share/asterisk", each.name))
        write_tone(own / "tone.wav", 440, 0.05)
        for each in words.rglob("*.gsm"):
            short = own / each.relative_to(words).with_suffix(".wav")
            short.parent.mkdir(exist_ok=True)
            short.symlink_to(self._inside / "data/sounds/en/tone.wav")

    def give(self, name: str, text: str) -> None:
        """Lay a file into its spool that its user can read."""
        (self.spool / name).write_text(text)
        (self.spool / name).chmod(0o644)

    @property
    def home(self) -> Path:
        """Its own etc, lib, log, run and spool, as the test sees them."""
        return self._home

    @property
    def inside(self) -> Path:
        """The same, as Asterisk sees them."""
        return self._inside

    def add_file(self, name: str, text: str) -> None:
        """Write a file of its /etc/asterisk, before it is started."""
        (self._home / "etc" / name).write_text(text)


def remove_leftovers(root: Path) -> None:
    """Remove directories of test runs that were killed; the exchanges in them died with their run."""
    for home in (root / "srv").glob(f"{PREFIX}*"):
        pid = home.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(home, ignore_errors=True)
