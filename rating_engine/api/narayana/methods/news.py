"""Section News and broadcast messages.

Law: updateNews changes what is given and nothing else, whatever default the document prints for an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.languages import language_code
from rating_engine.api.narayana.news_object import news_fields
from rating_engine.api.narayana.pages import whole_list
from rating_engine.domain.change import LEAVE
from rating_engine.domain.news import NewNews, NewsChanges, NewsFilter, NewsType


async def get_news(asked: Asked) -> Answer:
    """What the asker may read, the newest first; `all`: whomever it is for, to administrators."""
    values = asked.values
    wanted = NewsFilter(
        news_id=values.text("id") or None,
        broadcast=values.flag("broadcast") is True,
        everybodys=values.flag("all") is True,
    )
    found = await whole_list(lambda cursor: asked.use.news.page(wanted, cursor))
    if wanted.news_id is not None and not found:
        raise Failure(Code.E_NOT_EXIST, "id: there are no such news")
    offset = 0 if asked.asking.party_id is None else (await asked.user()).utc_offset
    return [news_fields(item, offset) for item in found]


async def add_news(asked: Asked) -> Answer:
    """For anybody, or for those of a level, a language or a name."""
    values = asked.values
    await asked.use.news.add(
        NewNews(
            values.needed_text("id"),
            values.needed_text("header"),
            values.needed_text("message"),
            broadcast=values.text("broadcast") or "",
            is_broadcast=values.flag("isbroadcast") is True,
            access=values.needed_whole("access"),
            language=language_code(values.text("language") or ""),
            user=values.text("user") or None,
            type=NewsType(values.needed_text("typ")),
        )
    )
    return True


async def update_news(asked: Asked) -> Answer:
    """What is given; an empty user or language: for all of them."""
    values = asked.values

    def is_given(name: str) -> bool:
        return name in asked.names

    changes = NewsChanges(
        header=values.needed_text("header") if is_given("header") else LEAVE,
        message=values.needed_text("message") if is_given("message") else LEAVE,
        broadcast=values.needed_text("broadcast") if is_given("broadcast") else LEAVE,
        is_broadcast=values.flag("isbroadcast") is True if is_given("isbroadcast") else LEAVE,
        access=values.needed_whole("access") if is_given("access") else LEAVE,
        language=language_code(values.needed_text("language")) if is_given("language") else LEAVE,
        user=(values.text("user") or None) if is_given("user") else LEAVE,
        type=NewsType(values.needed_text("typ")) if is_given("typ") else LEAVE,
    )
    await asked.use.news.change(values.needed_text("id"), changes)
    return True


async def delete_news(asked: Asked) -> Answer:
    """They are gone."""
    await asked.use.news.remove(asked.values.needed_text("id"))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getNews": get_news,
    "addNews": add_news,
    "updateNews": update_news,
    "deleteNews": delete_news,
}
