"""What a request gives, from its address and its body: one table of texts by plain names. Pure.

Laws: the body wins over the query, the last of a name given twice counts; what is not UTF-8, or too much of it, is no
request (BadQuery). A body that is XML is the parameter `xml`, as is a file of a form.
"""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP
from typing import Final
from urllib.parse import parse_qsl

MAX_NAMES: Final = 200  # of one request; the longest function has some 50 parameters
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
XML: Final = ("application/xml", "text/xml")


class BadQuery(Exception):
    """HTTP 400: it cannot be read."""


def plain_name(name: str) -> str:
    """The one way in which a name is compared."""
    return name.strip().lower()


def function_of(path: str) -> tuple[str, str | None] | None:
    """Function and what stands behind it, of the path behind /billing/api; None: it is neither.

    Repeated slashes and one at the end don't count.
    """
    parts = [part for part in path.split("/") if part]
    if not 1 <= len(parts) <= 2:
        return None
    return parts[0], parts[1] if len(parts) == 2 else None


def given_of(query: bytes, content_type: str, body: bytes) -> dict[str, str]:
    """All that was given. Raises BadQuery."""
    given = _form(query)
    kind = content_type.partition(";")[0].strip().lower()
    if body.strip():
        if kind in XML or (kind in ("", FORM) and body.lstrip().startswith(b"<")):
            given["xml"] = _text(body)
        elif kind == MULTIPART:
            given |= _parts(content_type, body)
        elif kind in ("", FORM):
            given |= _form(body)
        else:
            raise BadQuery(f"a body is {FORM}, {MULTIPART} or XML")
    if len(given) > MAX_NAMES:
        raise BadQuery(f"more than {MAX_NAMES} names")
    if any("\0" in value for value in given.values()):
        raise BadQuery("a value has a NUL")
    return given


def _form(text: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_NAMES)
    except ValueError:
        raise BadQuery("the parameters are not name=value&…, in UTF-8") from None
    return {plain_name(name): value for name, value in pairs}


def _parts(content_type: str, body: bytes) -> dict[str, str]:
    """A form with files; the standard library reads it as the mail that it is."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise BadQuery("the form has no parts")
    given: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            given["xml" if part.get_filename() else plain_name(name)] = _text(content)
    return given


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadQuery("the body is not UTF-8") from None
