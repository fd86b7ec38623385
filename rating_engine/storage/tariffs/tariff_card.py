"""Everything of a tariff in one view, for `tariff show`."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.page import Cursor
from rating_engine.domain.tariff_card import DeckPlace, Holiday, ListedTariff, TariffCard, TimelineDeck
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.tariffs.packages import MAX_PACKAGES, list_packages
from rating_engine.storage.tariffs.tariff_bands import WINDOWS, window_from_row

MAX_SHOWN: Final = 1_000  # decks, routes, holidays: a screen has long been full

# A published deck that is no longer in force was replaced; the newest first, as the timeline is read.
_DECKS: Final = f"""
    SELECT version, effective_from, rate_count,
           CASE WHEN state = 'withdrawn' THEN 'withdrawn' WHEN deck_id = deck_at(tariff_id, now()) THEN 'in force'
                WHEN effective_from > now() THEN 'ahead' ELSE 'replaced' END AS place
    FROM rate_decks WHERE tariff_id = $1 AND state <> 'loading'
    ORDER BY effective_from DESC, version DESC LIMIT {MAX_SHOWN}"""  # noqa: S608  # made of constants
_HOLIDAYS: Final = f"""
    SELECT day, name FROM holidays WHERE calendar = $1 AND day >= (now() AT TIME ZONE $2)::date
    ORDER BY day LIMIT {MAX_SHOWN}"""  # noqa: S608  # made of constants
_ROUTES: Final = f"""
    SELECT tr.position, r.name FROM tariff_routes tr JOIN routes r USING (route_id) WHERE tr.tariff_id = $1
    ORDER BY tr.position, r.route_id LIMIT {MAX_SHOWN}"""  # noqa: S608  # made of constants
_COST_OF: Final = f"SELECT name FROM routes WHERE cost_tariff_id = $1 ORDER BY name LIMIT {MAX_SHOWN}"  # noqa: S608  # made of constants


async def tariff_card(database: Questions, listed: ListedTariff) -> TariffCard:
    """A tariff with all that belongs to it. Errors: Unavailable."""
    settings = listed.settings
    decks = await database.fetch(_DECKS, settings.tariff_id)
    windows = await database.fetch(WINDOWS, settings.tariff_id)
    holidays = await database.fetch(_HOLIDAYS, settings.holiday_calendar, settings.time_zone)
    routes = await database.fetch(_ROUTES, settings.tariff_id)
    cost_of = await database.fetch(_COST_OF, settings.tariff_id)
    return TariffCard(
        listed=listed,
        decks=tuple(
            TimelineDeck(row["version"], DeckPlace(row["place"]), row["effective_from"], row["rate_count"])
            for row in decks
        ),
        bands=tuple(window_from_row(row) for row in windows),
        holidays=tuple(Holiday(settings.holiday_calendar, row["day"], row["name"]) for row in holidays),
        packages=(await list_packages(database, settings.name, Cursor(MAX_PACKAGES))).items,
        routes=tuple((row["position"], row["name"]) for row in routes),
        cost_of=tuple(row["name"] for row in cost_of),
    )
