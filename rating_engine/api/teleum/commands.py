"""The 24 commands as data: what each is given and what it answers, as the document has them (shared with its test).

Law: what is here is what is served. What the document leaves open is decided in docs/teleum.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

START: Final = "0"
LIMIT: Final = "100"
MAX_LIMIT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that a command is given. `kind`: string, integer, flag (0 or 1). `one_of`: all values that it may have.

    `also`: other names that it has in answers of the same document.
    """

    name: str
    kind: str = "string"
    required: bool = False
    default: str | None = None
    one_of: tuple[str, ...] = ()
    least: int = 0
    most: int = 10**18
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """`reply`: the names of its answer; `arrays`: what the items of the arrays among them have."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    reply: tuple[str, ...] = ()
    arrays: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _text(name: str, *, required: bool = False, one_of: tuple[str, ...] = ()) -> Parameter:
    return Parameter(name, required=required, one_of=one_of)


def _whole(
    name: str, *, required: bool = False, default: str | None = None, least: int = 0, most: int = 10**18,
    also: tuple[str, ...] = (),
) -> Parameter:  # fmt: skip
    return Parameter(name, "integer", required, default, (), least, most, also)


def _flag(name: str) -> Parameter:
    return Parameter(name, "flag", default="0", one_of=("0", "1"))


_MONTH: Final = (_whole("y", required=True, least=1970, most=2999), _whole("m", required=True, least=1, most=12))
_PAGE: Final = (_whole("start", default=START, most=10_000_000), _whole("limit", least=1, most=MAX_LIMIT))
_CALL: Final = ("src", "dst", "billsec", "disposition", "calldate", "calldatef", "billsecu")

_ALL: Final = (
    Command("login", (_text("email", required=True), _text("paswd", required=True)), ("account", "token", "vivaid")),
    Command("balance", (), ("account", "vivaid", "contract", "balance")),
    Command(
        "reportCalls",
        (*_MONTH, _text("type", one_of=("ANSWERED", "BUSY", "FAILED", "NO ANSWER")), *_PAGE),
        ("vivaid", "counts", "calls"),
        {"calls": (*_CALL, "rdr")},
    ),
    Command("getRecordsList", _MONTH, ("vivaid", "records"), {"records": ("id", *_CALL)}),
    Command("getRecordLink", (_text("fileid", required=True),), ("vivaid", "link", "error", "errormsg")),
    Command(
        "getConnectedNumbers", (), ("vivaid", "numbers"), {"numbers": ("number", "numberform", "vivaid", "id")}
    ),
    Command("getRCIDs", (), ("vivaid", "rcids"), {"rcids": ("id", "numberform")}),
    Command("getForwardsTypes", (), ("vivaid", "forwardTypes"), {"forwardTypes": ("id", "name")}),
    Command(
        "getForwards",
        (_whole("numberid", required=True, also=("nid",)),),
        ("vivaid", "number", "forwards"),
        {
            "forwards": (
                "id", "rtype", "rnum", "rtime", "rcid", "direction", "rec", "deleted", "vpbx", "dowjs2", "rcnid",
                "moh", "rtname", "cname", "times",
            )
        },
    ),
    Command(
        "getForwardTimes",
        (_whole("id", required=True),),
        ("vivaid", "id", "forwardTimes"),
        {
            "forwardTimes": (
                "id", "startTime", "finishTime", "startDayOfWeek", "finishDayOfWeek", "startDayOfWeekWord",
                "finishDayOfWeekWord",
            )
        },
    ),
    Command(
        "editForward",
        (
            _whole("id", required=True),
            _whole("rtype", least=1, most=4),
            _whole("nid", also=("numberid",)),
            _whole("timeout", least=5, most=30, also=("rtime",)),
            _whole("rcid", least=1, most=3),
            _whole("rcnid"),
            _flag("isolated"),
            _flag("rec"),
            _flag("vpbx"),
            _flag("moh"),
            _text("rnum"),
        ),
        ("vivaid", "id"),
    ),
    Command("deleteForward", (_whole("id", required=True),), ("vivaid", "id")),
    Command(
        "moveForward",
        (_whole("id", required=True), _text("dir", required=True, one_of=("up", "down"))),
        ("vivaid", "id"),
    ),
    Command("getForwardsRCIDs", (), ("vivaid", "forwardRCIDs"), {"forwardRCIDs": ("id", "name")}),
    Command(
        "getSIPs",
        (),
        ("vivaid", "spis"),
        {"spis": ("id", "num", "email", "def", "rcid", "descr", "uagent", "status")},
    ),
    Command("getNextSIP", (), ("vivaid", "num")),
    Command(
        "editSIP",
        (_whole("id", required=True), _text("email"), _text("descr"), _text("rcid"), _text("paswd")),
        ("vivaid", "id", "num"),
    ),
    Command("deleteSIP", (_whole("id", required=True),), ("vivaid", "id")),
    Command("getTariffGroups", (), ("vivaid", "tariffGroups"), {"tariffGroups": ("id", "name")}),
    Command(
        "getTariffs",
        (_whole("tg", required=True),),
        ("vivaid", "tariffs"),
        {
            "tariffs": (
                "id", "name", "name_lng", "numreq", "numreg", "numreg_name", "numtype", "numtype_name", "textf",
                "connectPrice", "aboPrice",
            )
        },
    ),
    Command(
        "getConnectedTariffs",
        (),
        ("vivaid", "connected"),
        {"connected": ("id", "cost", "pcost", "nid", "numf", "link_date", "name")},
    ),
    Command("connectTariff", (_whole("tarid", required=True), _whole("numid")), ("vivaid", "numid")),
    Command("getNumbersTypes", (), ("vivaid", "numberTypes"), {"numberTypes": ("id", "name")}),
    Command(
        "getFreeNumbers",
        (_whole("nr"), _whole("nt"), *_PAGE, _text("serie")),
        ("vivaid", "numbersCount", "numbersSeries", "freeNumbers"),
        {
            "numbersSeries": ("serie", "serie_form"),
            "freeNumbers": ("id", "number", "numberform", "ntype", "nregion", "cost"),
        },
    ),
)  # fmt: skip

COMMANDS: Final[Mapping[str, Command]] = MappingProxyType({each.name: each for each in _ALL})
