"""What stands on an invoice, in the languages that there are; who speaks another one reads English."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

ENGLISH: Final = "en"

TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "monthly": "Invoice", "request": "Payment request", "draft": "Pro forma", "number": "Number", "date": "Date",
        "due_by": "Payable until", "period": "Period", "customer": "Customer", "account": "Account",
        "billed_to": "Billed to", "tax_number": "Tax number", "description": "Description", "quantity": "Quantity",
        "time": "Time", "amount": "Amount", "calls": "Calls", "rerated": "Calls, corrected afterwards",
        "messages": "Messages", "fees": "Fees and rents", "top_up": "Account top-up", "payments": "Payments",
        "transfers": "Transfers", "adjustments": "Adjustments", "opening": "Opening balance", "other": "Other",
        "net": "Net", "tax": "Tax {percent} %", "commission": "Commission", "total": "Total", "due": "To be paid",
        "paid": "Paid", "cancelled": "Cancelled", "nothing_due": "Nothing is to be paid", "invoiced": "Invoiced, net",
        "balance": "Account", "closing": "Closing balance", "bank": "Bank account", "page": "Page {n} of {of}",
        "nothing": "Nothing was used in this month.", "unknown": "Unknown destination",
        "draft_note": "Made from what was asked for; this is no issued invoice.",
    },
    "de": {
        "monthly": "Rechnung", "request": "Zahlungsaufforderung", "draft": "Pro-forma-Rechnung", "number": "Nummer",
        "date": "Datum", "due_by": "Zahlbar bis", "period": "Zeitraum", "customer": "Kunde", "account": "Konto",
        "billed_to": "Rechnung an", "tax_number": "Steuernummer", "description": "Leistung", "quantity": "Anzahl",
        "time": "Dauer", "amount": "Betrag", "calls": "Gespräche", "rerated": "Gespräche, nachträglich berichtigt",
        "messages": "Nachrichten", "fees": "Gebühren und Mieten", "top_up": "Guthaben", "payments": "Zahlungen",
        "transfers": "Überträge", "adjustments": "Berichtigungen", "opening": "Anfangssaldo", "other": "Übrige",
        "net": "Netto", "tax": "Steuer {percent} %", "commission": "Provision", "total": "Gesamt",
        "due": "Zu zahlen", "paid": "Bezahlt", "cancelled": "Storniert", "nothing_due": "Nichts zu zahlen",
        "invoiced": "Berechnet, netto", "balance": "Konto", "closing": "Endsaldo", "bank": "Bankverbindung",
        "page": "Seite {n} von {of}", "nothing": "In diesem Monat wurde nichts genutzt.",
        "unknown": "Unbekanntes Ziel",
        "draft_note": "Nach Angaben dessen, der darum bat; dies ist keine ausgestellte Rechnung.",
    },
    "pl": {
        "monthly": "Faktura", "request": "Wezwanie do zapłaty", "draft": "Faktura pro forma", "number": "Numer",
        "date": "Data", "due_by": "Termin płatności", "period": "Okres", "customer": "Klient", "account": "Konto",
        "billed_to": "Nabywca", "tax_number": "NIP", "description": "Opis", "quantity": "Liczba", "time": "Czas",
        "amount": "Kwota", "calls": "Połączenia", "rerated": "Połączenia, skorygowane później",
        "messages": "Wiadomości", "fees": "Opłaty i abonamenty", "top_up": "Doładowanie konta",
        "payments": "Wpłaty", "transfers": "Przelewy", "adjustments": "Korekty", "opening": "Saldo początkowe",
        "other": "Pozostałe", "net": "Netto", "tax": "Podatek {percent} %", "commission": "Prowizja",
        "total": "Razem", "due": "Do zapłaty", "paid": "Zapłacono", "cancelled": "Anulowano",
        "nothing_due": "Nic do zapłaty", "invoiced": "Zafakturowano, netto", "balance": "Konto",
        "closing": "Saldo końcowe", "bank": "Rachunek bankowy", "page": "Strona {n} z {of}",
        "nothing": "W tym miesiącu nic nie wykorzystano.", "unknown": "Nieznany kierunek",
        "draft_note": "Sporządzono według podanych danych; to nie jest wystawiona faktura.",
    },
    "ru": {
        "monthly": "Счёт", "request": "Счёт на оплату", "draft": "Предварительный счёт", "number": "Номер",
        "date": "Дата", "due_by": "Оплатить до", "period": "Период", "customer": "Клиент", "account": "Лицевой счёт",
        "billed_to": "Плательщик", "tax_number": "ИНН", "description": "Услуга", "quantity": "Кол-во",
        "time": "Время", "amount": "Сумма", "calls": "Звонки", "rerated": "Звонки, исправленные позже",
        "messages": "Сообщения", "fees": "Абонентская плата и сборы", "top_up": "Пополнение счёта",
        "payments": "Платежи", "transfers": "Переводы", "adjustments": "Корректировки",
        "opening": "Остаток на начало", "other": "Прочее", "net": "Без налога", "tax": "Налог {percent} %",
        "commission": "Комиссия", "total": "Итого", "due": "К оплате", "paid": "Оплачено", "cancelled": "Отменён",
        "nothing_due": "Оплачивать нечего", "invoiced": "Начислено, без налога", "balance": "Лицевой счёт",
        "closing": "Остаток на конец", "bank": "Банковский счёт", "page": "Страница {n} из {of}",
        "nothing": "В этом месяце услуг не было.", "unknown": "Неизвестное направление",
        "draft_note": "Составлен по данным запросившего; это не выставленный счёт.",
    },
}  # fmt: skip
# Between thousands, and before decimals.
_SIGNS: Final = {"en": (",", "."), "de": (".", ","), "pl": ("\u00a0", ","), "ru": ("\u00a0", ",")}
_DAYS: Final = {"en": "%Y-%m-%d", "de": "%d.%m.%Y", "pl": "%d.%m.%Y", "ru": "%d.%m.%Y"}


def language_of(code: str) -> str:
    """The language that is written for who speaks that one."""
    return code if code in TEXTS else ENGLISH


def decimals_of(amounts: Iterable[Decimal]) -> int:
    """How many decimals a column takes that has these amounts to the last digit: two at least."""
    return max((len(format(each, "f").partition(".")[2].rstrip("0")) for each in amounts), default=0)


def written_percent(percent: Decimal, language: str) -> str:
    """As many decimals as it has."""
    return format(percent.normalize(), "f").replace(".", _SIGNS[language][1])


def written_amount(amount: Decimal, language: str, decimals: int = 0) -> str:
    """Two decimals, or as many as it has, or so many; thousands apart."""
    thousands, point = _SIGNS[language]
    text = format(amount, "f")
    whole, _, digits = text.removeprefix("-").partition(".")
    kept = digits.rstrip("0").ljust(max(decimals, 2), "0")
    sign = "\u2212" if amount < 0 else ""
    return f"{sign}{int(whole):,}".replace(",", thousands) + point + kept


def written_time(seconds: int) -> str:
    """h:mm:ss."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" if seconds else ""


def day_format(language: str) -> str:
    """How a day is written."""
    return _DAYS[language]
