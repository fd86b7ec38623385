"""XML as it is answered and as it is read. Pure.

Laws: what stands in the database is text of an element and never markup; a letter that XML cannot have is left out; a
document that declares a type or an entity is refused before any of it counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
MAX_TAGS: Final = 1_500_000  # of what is read: 100,000 rates of six fields; more is no price list, and much memory
STANDALONE: Final = '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n'

_DECLARED: Final = re.compile(r"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']""")
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

__all__ = ["Element", "NotXml", "done", "element", "failed", "listed", "page", "read", "rendered", "said"]


class NotXml(ValueError):
    """It cannot be read, or declares what it may not."""


def element(tag: str, *content: Element | str | None, **attributes: object) -> Element:
    """An element of texts and elements; None: nothing."""
    made = Element(tag, {name: _text(str(value)) for name, value in attributes.items()})
    for part in content:
        if isinstance(part, Element):
            made.append(part)
        elif part is not None:
            made.text = (made.text or "") + _text(part)
    return made


def listed(tag: str, fields: Iterable[tuple[str, object]], **attributes: object) -> Element:
    """An element of fields, each an element of its own with a text; None and '': an empty one."""
    return element(tag, *(element(name, None if value is None else str(value)) for name, value in fields), **attributes)


def page(*content: Element | str | None) -> Element:
    """The root of nearly all answers."""
    return element("page", *content)


def done(text: str) -> Element:
    """page/status/success: that it was done."""
    return page(element("status", element("success", text)))


def said(text: str) -> Element:
    """page/status: the same, as the restated functions have it."""
    return page(element("status", text))


def failed(text: str) -> Element:
    """page/status/error."""
    return page(element("status", element("error", text)))


def rendered(root: Element, declaration: str = DECLARATION) -> bytes:
    """The document."""
    return (declaration + tostring(root, encoding="unicode", short_empty_elements=True)).encode()


def read(document: str) -> Element:
    """The root of a document. A large one takes seconds: not for an event loop. Raises NotXml.

    What came as UTF-8 and says that it is written otherwise has letters which nobody can be sure of.
    """
    declared = _DECLARED.match(document.removeprefix("\ufeff"))
    if declared is not None and declared[1].lower() not in ("utf-8", "utf8") and not document.isascii():
        raise NotXml(f"is UTF-8 and says that it is {declared[1][:40]}")
    if document.count("<") > MAX_TAGS:
        raise NotXml(f"has more than {MAX_TAGS} tags")
    try:
        root: Element = fromstring(document.encode(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError):
        raise NotXml("is no XML document, or has a DTD") from None
    return root


def _text(text: str) -> str:
    return _NOT_IN_XML.sub("", text)
