"""News as getNews answers them, and getInfo those that are broadcast."""

from __future__ import annotations

from typing import Any

from rating_engine.api.narayana.answer import date
from rating_engine.domain.news import NewsItem


def news_fields(item: NewsItem, offset_minutes: int) -> dict[str, Any]:
    """One of them, by the names of the document."""
    return {
        "is_broadcast": int(item.is_broadcast),
        "id": item.news_id,
        "author": item.author,
        "message": item.message,
        "access": item.access,
        "language": item.language,
        "lastupdated": date(item.updated_at),
        "clientlastupdated": date(item.updated_at, offset_minutes),
        "broadcast": item.broadcast,
        "date": date(item.created_at),
        "clientdate": date(item.created_at, offset_minutes),
        "header": item.header,
        "lastupdated_by": item.updated_by,
        "typ": item.type.value,
    }
