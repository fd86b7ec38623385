"""Draws one invoice: a program that reads it as JSON on its standard input and writes a PDF to its output.

It is a process of its own, so that no page takes the processor from calls. What people wrote is escaped: the library's
paragraphs are markup. Fonts are DejaVu's, cut down to Latin, Greek and Cyrillic (fonts/LICENSE).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepTogether, PageTemplate, Paragraph, Spacer, Table

from rating_engine.adapters.paper.texts import (
    TEXTS,
    day_format,
    decimals_of,
    language_of,
    written_amount,
    written_percent,
    written_time,
)
from rating_engine.domain.invoice import REST

FONTS: Final = Path(__file__).parent / "fonts"
REGULAR, BOLD = "DejaVu", "DejaVu-Bold"
MARGIN: Final = 18 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
COLUMNS: Final = (WIDTH - 92 * mm, 22 * mm, 24 * mm, 46 * mm)  # the last one has room for the largest amount
INK, QUIET, RULE, TINT = HexColor("#1f2933"), HexColor("#616e7c"), HexColor("#cbd2d9"), HexColor("#f3f5f7")
ACCENT: Final = HexColor("#1f4e79")
MOST_TEXT: Final = 300  # characters of a name or an address that are printed
NO_LETTER: Final = "?"  # of a script that the fonts do not have: a gap would hide that there is a name
KEPT: Final = "\u00a0"  # between thousands: not printable to Python

_TEXT: Final = ParagraphStyle("text", fontName=REGULAR, fontSize=9, leading=12.5, textColor=INK)
_QUIET: Final = ParagraphStyle("quiet", _TEXT, textColor=QUIET)
_BOLD: Final = ParagraphStyle("bold", _TEXT, fontName=BOLD)
_TITLE: Final = ParagraphStyle("title", _TEXT, fontName=BOLD, fontSize=22, leading=27, textColor=ACCENT)
_RIGHT: Final = ParagraphStyle("right", _TEXT, alignment=TA_RIGHT)
_RIGHT_BOLD: Final = ParagraphStyle("right-bold", _BOLD, alignment=TA_RIGHT)
_SECTION: Final = ParagraphStyle("section", _BOLD, fontSize=10, textColor=ACCENT)
_DUE: Final = ParagraphStyle("due", _RIGHT_BOLD, fontSize=11, leading=15)


class _Drawing:
    """One invoice on its pages."""

    def __init__(self, invoice: dict[str, Any], *, draft: bool) -> None:
        self._invoice = invoice
        self._draft = draft
        self._language = language_of(invoice["language"])
        self._words = TEXTS[self._language]
        amounts = [each["amount"] for each in invoice["lines"]]
        amounts += [invoice[name] for name in ("net", "tax", "opening", "closing") if invoice[name] is not None]
        self._decimals = decimals_of(map(Decimal, amounts))

    def pdf(self) -> bytes:
        """The file."""
        file = io.BytesIO()
        document = BaseDocTemplate(
            file, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=24 * mm,
            title=f"{self._title()} {self._invoice['label']}", author=self._invoice["issuer"]["name"], invariant=1,
        )  # fmt: skip
        frame = Frame(MARGIN, 24 * mm, WIDTH, A4[1] - 24 * mm - MARGIN, 0, 0, 0, 0)
        document.addPageTemplates(PageTemplate(frames=[frame]))
        story = [*self._head(), *self._lines(), Spacer(1, 4 * mm), KeepTogether(self._sums())]
        if self._invoice["closing"] is not None:
            story += [Spacer(1, 7 * mm), KeepTogether(self._balance())]
        document.build(story, canvasmaker=self._canvas)
        return file.getvalue()

    def _title(self) -> str:
        return self._words["draft"] if self._draft else self._words[self._invoice["kind"]]

    def _head(self) -> list[Flowable]:
        invoice, words = self._invoice, self._words
        about = [(words["number"], invoice["label"]), (words["date"], self._day(invoice["issued_at"]))]
        if invoice["period_start"]:
            period = f"{self._day(invoice['period_start'])} – {self._day(invoice['period_last'])}"
            about.append((words["period"], period))
        about += [
            (words["due_by"], self._day(invoice["valid_to"])), (words["customer"], invoice["login"]),
            (words["account"], str(invoice["account_id"])),
        ]  # fmt: skip
        title: list[Flowable] = [_written(self._title(), _TITLE)]
        if self._draft:
            title.append(_written(words["draft_note"], _QUIET))
        elif invoice["state"] == "cancelled":
            title.append(_written(words["cancelled"], _BOLD))
        facts = Table(
            [[_written(name, _QUIET), _written(value, _RIGHT)] for name, value in about],
            colWidths=(28 * mm, 48 * mm), style=[*_TIGHT],
        )  # fmt: skip
        billed = [_written(words["billed_to"], _QUIET), *self._party(invoice["billed"])]
        half = (WIDTH - 76 * mm, 76 * mm)
        return [
            Table([[title, self._party(invoice["issuer"])]], colWidths=half, style=_TIGHT_TOP),
            Spacer(1, 8 * mm),
            Table([[billed, facts]], colWidths=half, style=_TIGHT_TOP),
            Spacer(1, 8 * mm),
        ]  # fmt: skip

    def _party(self, party: dict[str, str]) -> list[Flowable]:
        shown: list[Flowable] = [_written(party["name"], _BOLD)]
        shown += [_written(line, _TEXT) for line in party["address"].splitlines()[:6] if line.strip()]
        if party["email"]:
            shown.append(_written(party["email"], _TEXT))
        if party["tax_number"]:
            shown.append(_written(f"{self._words['tax_number']}: {party['tax_number']}", _TEXT))
        if party["bank_account"]:
            shown.append(_written(f"{self._words['bank']}: {party['bank_account']}", _TEXT))
        return shown

    def _lines(self) -> list[Flowable]:
        """What was sold, by kind; the heading stands on every page."""
        words, currency = self._words, self._invoice["currency"]
        heading = [
            _written(words["description"], _BOLD), _written(words["quantity"], _RIGHT_BOLD),
            _written(words["time"], _RIGHT_BOLD), _written(f"{words['amount']}, {currency}", _RIGHT_BOLD),
        ]  # fmt: skip
        rows: list[list[Flowable | str]] = [[*heading]]
        style = [*_LINES, ("BACKGROUND", (0, 0), (-1, 0), TINT), ("LINEBELOW", (0, 0), (-1, 0), 0.8, ACCENT)]
        for kind in ("calls", "rerated", "messages", "fees", "top_up"):
            lines = [line for line in self._invoice["lines"] if line["kind"] == kind]
            if not lines:
                continue
            style += [
                ("SPAN", (0, len(rows)), (2, len(rows))),
                ("LINEBELOW", (0, len(rows)), (-1, len(rows)), 0.4, RULE),
            ]
            total = sum((Decimal(line["amount"]) for line in lines), Decimal(0))
            rows.append([_written(words[kind], _SECTION), "", "", _written(self._amount(total), _RIGHT_BOLD)])
            rows += [self._line(line) for line in lines if kind != "top_up" or line["name"]]
        if len(rows) == 1:
            rows.append([_written(words["nothing"], _QUIET), "", "", ""])
        style.append(("LINEBELOW", (0, -1), (-1, -1), 0.8, ACCENT))
        return [Table(rows, colWidths=COLUMNS, repeatRows=1, style=style)]

    def _line(self, line: dict[str, Any]) -> list[Flowable | str]:
        named = line["name"] if line["name"] != REST else ""
        unnamed = self._words["unknown" if not line["name"] and line["kind"] in ("calls", "rerated") else "other"]
        return [
            _written(named or unnamed, _TEXT), _written(str(line["quantity"]), _RIGHT),
            _written(written_time(line["seconds"]), _RIGHT), _written(self._amount(line["amount"]), _RIGHT),
        ]  # fmt: skip

    def _sums(self) -> list[Flowable]:
        invoice, words = self._invoice, self._words
        rows = [(words["net"], invoice["net"], _TEXT, _RIGHT)]
        rows += self._taxes()
        if Decimal(invoice["commission"]):
            rows.append((words["commission"], invoice["commission"], _TEXT, _RIGHT))
        rows.append((words["total"], invoice["total"], _BOLD, _RIGHT_BOLD))
        shown = [
            [_written(name, left), _written(f"{self._amount(amount)} {invoice['currency']}", right)]
            for name, amount, left, right in rows
        ]
        due = f"{written_amount(Decimal(invoice['due']), self._language)} {invoice['currency']}"
        said = words["paid"] if invoice["state"] == "paid" and Decimal(invoice["due"]) else words["due"]
        if not Decimal(invoice["due"]):
            said, due = words["nothing_due"], ""
        shown.append([_written(said, ParagraphStyle("said", _BOLD, fontSize=11, leading=15)), _written(due, _DUE)])
        table = Table(
            shown, colWidths=(42 * mm, 48 * mm), hAlign="RIGHT",
            style=[*_LINES, ("LINEABOVE", (0, -2), (-1, -2), 0.6, RULE), ("BACKGROUND", (0, -1), (-1, -1), TINT),
                   ("LINEABOVE", (0, -1), (-1, -1), 0.8, ACCENT)],
        )  # fmt: skip
        return [table]

    def _taxes(self) -> list[tuple[str, Any, ParagraphStyle, ParagraphStyle]]:
        """A row for each tax that there is: of several by its own name."""
        invoice, word = self._invoice, self._words["tax"]
        lines = invoice["taxes"]
        if len(lines) < 2:
            lines = [{"name": "", "percent": invoice["tax_percent"], "amount": invoice["tax"]}]
        rows = []
        for line in lines:
            percent = written_percent(Decimal(line["percent"]), self._language)
            named = f"{line['name']} {percent} %" if line["name"] else word.format(percent=percent)
            if percent != "0":
                rows.append((named, line["amount"], _TEXT, _RIGHT))
        return rows

    def _balance(self) -> list[Flowable]:
        """How the balance came from the beginning of the month to its end."""
        invoice, words = self._invoice, self._words
        rows: list[list[Flowable | str]] = [
            [_written(words["balance"], _SECTION), _written(invoice["currency"], _RIGHT_BOLD)],
            [_written(words["opening"], _BOLD), _written(self._amount(invoice["opening"]), _RIGHT_BOLD)],
        ]
        if Decimal(invoice["net"]):
            rows.append([_written(words["invoiced"], _TEXT), _written(self._amount(-Decimal(invoice["net"])), _RIGHT)])
        for line in invoice["lines"]:
            if line["kind"] in ("payments", "transfers", "adjustments"):
                name = words["opening"] if line["name"] == "opening" else line["name"]
                name = words["other"] if name == REST else name
                said = f"{words[line['kind']]}: {name}" if name else words[line["kind"]]
                rows.append([_written(said, _TEXT), _written(self._amount(line["amount"]), _RIGHT)])
        rows.append([_written(words["closing"], _BOLD), _written(self._amount(invoice["closing"]), _RIGHT_BOLD)])
        style = [*_LINES, ("LINEBELOW", (0, 0), (-1, 0), 0.8, ACCENT), ("LINEABOVE", (0, -1), (-1, -1), 0.6, RULE)]
        return [Table(rows, colWidths=(WIDTH - 48 * mm, 48 * mm), repeatRows=1, style=style)]

    def _canvas(self, *args: Any, **kwargs: Any) -> Canvas:
        return _Numbered(self._foot(), self._words["page"], *args, **kwargs)

    def _foot(self) -> str:
        return _short(f"{self._invoice['label']}  ·  {self._invoice['issuer']['name']}", 110)

    def _amount(self, amount: str | Decimal) -> str:
        return written_amount(Decimal(amount), self._language, self._decimals)

    def _day(self, text: str) -> str:
        return datetime.fromisoformat(text).strftime(day_format(self._language))


class _Numbered(Canvas):  # type: ignore[misc]
    """Pages that know how many they are: their foot is drawn when the last one is there."""

    def __init__(self, foot: str, page: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._foot = foot
        self._page = page
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802  # the library's name
        """Keep the page for later."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Draw every foot, and end the file."""
        for number, page in enumerate(list(self._pages), start=1):
            self.__dict__.update(page)
            self.setStrokeColor(RULE)
            self.line(MARGIN, 18 * mm, A4[0] - MARGIN, 18 * mm)
            self.setFont(REGULAR, 7.5)
            self.setFillColor(QUIET)
            self.drawString(MARGIN, 13 * mm, self._foot)
            self.drawRightString(A4[0] - MARGIN, 13 * mm, self._page.format(n=number, of=len(self._pages)))
            Canvas.showPage(self)
        Canvas.save(self)


_TIGHT: Final[Sequence[tuple[Any, ...]]] = (
    ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
)  # fmt: skip
_TIGHT_TOP: Final[Sequence[tuple[Any, ...]]] = (
    *_TIGHT, ("VALIGN", (0, 0), (-1, -1), "TOP"), ("RIGHTPADDING", (0, 0), (0, -1), 4 * mm),
)  # fmt: skip
_LINES: Final[Sequence[tuple[Any, ...]]] = (
    ("LEFTPADDING", (0, 0), (-1, -1), 4), ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ("TOPPADDING", (0, 0), (-1, -1), 2.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
)  # fmt: skip


def _written(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_short(text, MOST_TEXT)), style)


def _short(text: str, most: int) -> str:
    letters = pdfmetrics.getFont(REGULAR).face.charToGlyph
    plain = "".join(each if ord(each) in letters else NO_LETTER for each in text if each.isprintable() or each == KEPT)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def draw(asked: dict[str, Any]) -> bytes:
    """The PDF of what was asked: `invoice`, and whether it is a `draft`."""
    if BOLD not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(REGULAR, FONTS / "DejaVuSansCondensed.ttf"))
        pdfmetrics.registerFont(TTFont(BOLD, FONTS / "DejaVuSansCondensed-Bold.ttf"))
    return _Drawing(asked["invoice"], draft=asked["draft"]).pdf()


if __name__ == "__main__":
    sys.stdout.buffer.write(draw(orjson.loads(sys.stdin.buffer.read())))
