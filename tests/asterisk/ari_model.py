"""agi/ari/model.py, made from the description that an Asterisk brings of its own REST interface.

Only names and types are taken: no text, no structure besides. What is written is what the engine reads of events.

`python -m tests.asterisk.ari_model` writes the file anew from the Asterisk of the tests.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

MODEL: Final = Path(__file__).parents[2] / "agi" / "ari" / "model.py"
DESCRIPTIONS: Final = "usr/share/asterisk/rest-api"
FILES: Final = ("events", "channels", "bridges", "playbacks", "asterisk")
# What an application is told (its filter), what is answered to commands, and what a snapshot is made of.
EVENTS: Final = (
    "ApplicationReplaced", "ChannelDestroyed", "ChannelDtmfReceived", "ChannelHangupRequest", "ChannelHold",
    "ChannelStateChange", "ChannelTransfer", "ChannelUnhold", "Dial", "PlaybackFinished", "StasisEnd", "StasisStart",
)  # fmt: skip
OTHERS: Final = ("Bridge", "Channel", "RESTResponse")
ROOTS: Final = ("Event", "Message")  # their fields are in every event
_PLAIN: Final = {"string": "str", "int": "int", "long": "int", "double": "float", "boolean": "bool", "Date": "str"}
_LIST: Final = re.compile(r"List\[(\w+)\]")
_HEAD: Final = '''"""What Asterisk tells over its REST interface: names and types, made by tests/asterisk/ari_model.py.

Not written by hand. Any field may be missing: releases differ, and what is not here is not looked at.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

# What an application asks to be told of: without a filter one call is four times as many events.
EVENT_TYPES: Final = (
{types})
'''


def described(root: Path) -> dict[str, dict[str, str]]:
    """Every model of the descriptions below an Asterisk's root, as its fields and their types."""
    models: dict[str, Any] = {}
    for name in FILES:
        models |= json.loads((root / DESCRIPTIONS / f"{name}.json").read_text())["models"]
    return {
        name: {field: one["type"] for field, one in (model.get("properties") or {}).items()}
        for name, model in models.items()
    }


def operations(root: Path) -> dict[tuple[str, str], set[str]]:
    """What can be asked below an Asterisk's root: by its method and the pattern of its path, its parameters."""
    found: dict[tuple[str, str], set[str]] = {}
    for name in (*FILES, "applications"):
        for api in json.loads((root / DESCRIPTIONS / f"{name}.json").read_text())["apis"]:
            path = re.sub(r"\{\w+\}", "[^/]+", str(api["path"]).lstrip("/"))
            for one in api["operations"]:
                found[str(one["httpMethod"]), path] = {str(each["name"]) for each in one.get("parameters", ())}
    return found


def rendered(models: dict[str, dict[str, str]]) -> str:
    """The module's text."""
    common = {field: kind for root in ROOTS for field, kind in models[root].items()}
    wanted = {name: (models[name] | common if name in EVENTS else models[name]) for name in (*EVENTS, *OTHERS)}
    missing = [kind for fields in wanted.values() for kind in fields.values()]
    while missing:
        kind = missing.pop()
        name = match[1] if (match := _LIST.fullmatch(kind)) else kind
        if name in models and name not in wanted:
            wanted[name] = models[name]
            missing += models[name].values()
    text = _HEAD.format(types="".join(f'    "{name}",\n' for name in EVENTS))
    for name in sorted(wanted):
        fields = sorted(wanted[name].items())
        text += f'\n\nclass {name}(TypedDict, total=False):\n    """{name}."""\n'
        text += "".join(["\n", *(f"    {field}: {_type(kind, wanted)}\n" for field, kind in fields)] if fields else [])
    return text


def _type(kind: str, wanted: dict[str, dict[str, str]]) -> str:
    if match := _LIST.fullmatch(kind):
        return f"list[{_type(match[1], wanted)}]"
    return _PLAIN.get(kind, kind if kind in wanted else "Any")


if __name__ == "__main__":
    from tests.asterisk.build import asterisk_root

    MODEL.write_text(rendered(described(asterisk_root())))
