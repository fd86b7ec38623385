"""The blocks of a documentation page, and a machine on which they are done as they stand."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.asterisk.exchange import Exchange

PROJECT: Final = Path(__file__).parents[2]
COMMAND_SECONDS: Final = 60.0
_FENCE: Final = re.compile(r"^( *)```(\S*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """`kind`: shell, sql, the file it is added to, or `example`, which is not done."""

    kind: str
    text: str
    heading: str


def blocks(page: str) -> list[Block]:
    """The fenced blocks of docs/<page> in order."""
    text = (PROJECT / "docs" / page).read_text()
    found = []
    for match in _FENCE.finditer(text):
        heading = re.findall(r"^#+ (.*)$", text[: match.start()], re.MULTILINE)[-1]
        found.append(Block(match[2], textwrap.dedent(match[3]), heading))
    return found


class Machine:
    """An Asterisk as Debian brings it, and the command line beside it. Paths and addresses of a page are put where this
    machine has them; nothing else of a page is changed."""

    def __init__(self, exchange: Exchange, fastagi_port: int, environment: dict[str, str]) -> None:
        self.exchange = exchange
        home = exchange.home
        self._places = {
            "/etc/asterisk/": f"{home}/etc/",
            "/var/log/asterisk/messages.log": f"{home}/log/full",
            "192.0.2.10:4573": f"127.0.0.1:{fastagi_port}",
        }
        self._database = home / "lib/realtime.sqlite3"
        self._environment = {**os.environ, **environment, "COLUMNS": "120", "NO_COLOR": "1"}

    async def do(self, block: Block) -> str:
        """Do what a block says; return what its commands printed."""
        if block.kind == "shell":
            return "".join([await self.type(line) for line in block.text.splitlines()])
        if block.kind == "sql":
            with sqlite3.connect(self._database) as database:
                database.executescript(block.text)
            owner = (self.exchange.home / "lib").stat()
            os.chown(self._database, owner.st_uid, owner.st_gid)
            return ""
        path = self.exchange.home / "etc" / block.kind
        text = self._placed(block.text).replace("/var/lib/asterisk", str(self.exchange.inside / "lib"))
        path.write_text(f"{path.read_text() if path.exists() else ''}\n{text}")
        return ""

    async def type(self, line: str) -> str:
        """Run one command line in the project's directory; a failure fails the test (not doctor's findings)."""
        line = self._placed(line)
        if line.startswith("asterisk -rx "):
            inside = self.exchange.beside("asterisk", "-C", str(self.exchange.inside / "etc/asterisk.conf"))
            line = f"{' '.join(inside)} {line.removeprefix('asterisk ')}"
        line = re.sub(r"^rating-engine doctor$", rf"\g<0> --dialplan {self.exchange.home}/etc/extensions.conf", line)
        line = re.sub(r"^rating-engine ", f"{Path(sys.executable).parent}/rating-engine ", line)
        process = await asyncio.create_subprocess_shell(
            line, cwd=PROJECT, env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await asyncio.wait_for(process.communicate(), COMMAND_SECONDS))[0].decode()
        assert process.returncode == 0 or " doctor " in line, f"{line}\n{said}"
        return said

    def _placed(self, text: str) -> str:
        for where, here in self._places.items():
            text = text.replace(where, here)
        return text
