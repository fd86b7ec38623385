"""Phones as Asterisk's pjsip.conf has them: the same as the views ps_* say to one that asks the database. Pure.

Law: a value is one line without a semicolon, which would begin a comment; what is not is refused, and nothing rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rating_engine.domain.errors import Refused

# A view and what its rows are there. A name is one of its kind, so all that is said of a phone has its login.
TYPES: Final[Mapping[str, str]] = {
    "ps_endpoints": "endpoint",
    "ps_auths": "auth",
    "ps_aors": "aor",
    "ps_endpoint_id_ips": "identify",
}
HEADER: Final = """\
; Phones of the exchange {exchange}, as the rating engine has them. What is changed here is lost with the next writing.
"""


def render_pjsip(exchange: str, rows: Mapping[str, Sequence[Mapping[str, object]]]) -> str:
    """The file of an exchange. `rows`: of each view, whose `id` is the section's name. Raises Refused."""
    sections: dict[str, list[str]] = {}
    for view, kind in TYPES.items():
        for row in rows[view]:
            name = str(row["id"])
            section = [f"[{name}]", f"type={kind}", *_options(name, row)]
            sections.setdefault(name, []).append("\n".join(section))
    texts = ["\n\n".join(sections[name]) for name in sorted(sections)]
    return "\n\n".join([HEADER.format(exchange=exchange).rstrip(), *texts]) + "\n"


def _options(name: str, row: Mapping[str, object]) -> Iterable[str]:
    for option, value in row.items():
        if option == "id" or value is None or value == "":
            continue
        text = str(value)
        if ";" in text or not text.isprintable():
            raise Refused(
                f"{option} of the phone {name} cannot stand in a file of Asterisk: it has a ; or a line break"
            )
        yield f"{option}={text}"
