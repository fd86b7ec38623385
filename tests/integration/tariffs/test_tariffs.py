"""What operators do with tariffs, bands and holidays: set whole or refused by name, and shown as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound, Unavailable
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.tariff_card import DeckPlace, Holiday
from rating_engine.rating.schedule import Window
from rating_engine.services.tariffs.holiday_file import read_holidays
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import tariff_settings
from tests.support.operators import Bands, Options, Packages, Tariffs
from tests.support.world import add_account, publish_deck

ALL_DAYS = frozenset(range(1, 8))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


async def test_a_tariff_is_added_with_its_settings_and_the_rest_as_the_table_has_it(database):
    listed = await Tariffs(database).add("gold", {"currency": "USD", "switch_price": "2.50", "is_option": "yes"})

    settings = listed.settings
    assert (settings.currency, settings.switch_price, settings.is_option) == ("USD", Decimal("2.5"), True)
    assert (settings.multiplier, settings.decimals, settings.time_zone) == (1, 5, "UTC")
    assert (listed.deck_version, listed.rates, listed.users) == (None, 0, 0)
    with pytest.raises(AlreadyExists, match="exists already") as refused:
        await Tariffs(database).add("gold", {})
    assert refused.value.hint is Hint.CHANGE_TARIFF


async def test_a_tariff_is_in_euros_unless_said_otherwise(database):
    assert (await Tariffs(database).add("gold", {})).settings.currency == "EUR"


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("description", "for night owls", "for night owls"),
        ("multiplier", "1.000001", Decimal("1.000001")),
        ("switch_price", "0", 0),
        ("decimals", "0", 0),
        ("increment_mode", "total", "total"),
        ("duration_rounding", "nearest", "nearest"),
        ("minimum_charge", "0.00000001", Decimal("0.00000001")),
        ("time_zone", "Asia/Kathmandu", "Asia/Kathmandu"),
        ("band_mode", "split", "split"),
        ("holiday_calendar", "none", ""),
        ("by_routing_number", "yes", True),
        ("route_order", "quality", "quality"),
        ("allow_loss", "yes", True),
        ("currency", "USD", "USD"),
        ("is_option", "yes", True),
    ],
)
async def test_a_setting_is_set_and_makes_a_new_version(database, field, text, value):
    before = (await Tariffs(database).add("gold", {})).settings

    after = (await Tariffs(database).set("gold", {field: text})).settings

    assert getattr(after, field) == value
    assert after.version > before.version


async def test_a_wrong_setting_is_refused_by_name_and_nothing_changes(database):
    tariffs = Tariffs(database)
    before = await tariffs.add("gold", {})
    for field, text in {
        "currency": "euro",
        "description": "x" * 1001,
        "is_option": "maybe",
        "multiplier": "0",
        "switch_price": "-1",
        "decimals": "7",
        "increment_mode": "minutes",
        "duration_rounding": "down",
        "minimum_charge": "0.000000001",
        "time_zone": "Mars/Olympus",
        "band_mode": "end",
        "holiday_calendar": "nowhere",
        "by_routing_number": "1",
        "route_order": "random",
        "allow_loss": "",
    }.items():
        other = {"decimals": "3"} if field != "decimals" else {}
        with pytest.raises(InvalidRequest, match=f"^{field}: "):
            await tariffs.set("gold", {**other, field: text})
    assert [await tariffs.set("gold", {})] == [before]


@pytest.mark.parametrize("name", ["", " gold", "a\nb", "x" * 101])
async def test_a_name_that_could_not_be_typed_is_refused(database, name):
    with pytest.raises(InvalidRequest, match=r"^name: "):
        await Tariffs(database).add(name, {})


async def test_what_is_not_there_is_said_to_be_not_there(database):
    for what in (
        Tariffs(database).set("nix", {"decimals": "1"}),
        Tariffs(database).mark_up("nix", "2"),
        Tariffs(database).show("nix"),
        Bands(database).windows("nix"),
        Bands(database).remove("nix", 1),
    ):
        with pytest.raises(NotFound, match="tariff 'nix' does not exist"):
            await what


async def test_the_currency_stays_once_something_is_priced_in_it(database):
    tariffs = Tariffs(database)
    await publish_deck(database, "retail")
    await tariffs.add("weekend", {"is_option": "yes"})
    await add_account(database)
    await Options(database).grant("1001", "weekend")

    for name in ("retail", "weekend"):
        with pytest.raises(InvalidRequest, match=r"^currency: stays EUR"):
            await tariffs.set(name, {"currency": "USD"})
        await tariffs.set(name, {"currency": "EUR"})


async def test_a_tariff_that_somebody_has_becomes_no_option_and_an_option_no_tariff(database):
    tariffs = Tariffs(database)
    await publish_deck(database, "retail")
    await tariffs.add("weekend", {"is_option": "yes"})
    await add_account(database)
    await Options(database).grant("1001", "weekend")

    with pytest.raises(InvalidRequest, match=r"^is_option: 'retail' is the tariff of 1"):
        await tariffs.set("retail", {"is_option": "yes"})
    with pytest.raises(InvalidRequest, match=r"^is_option: 'weekend' is an option of 1"):
        await tariffs.set("weekend", {"is_option": "no"})
    await Options(database).revoke("1001", "weekend")
    assert not (await tariffs.set("weekend", {"is_option": "no"})).settings.is_option


async def test_a_markup_multiplies_what_is_there_exactly(database):
    tariffs = Tariffs(database)
    await tariffs.add("gold", {"multiplier": "1.1"})

    assert await tariffs.mark_up("gold", "1.2") == (Decimal("1.1"), Decimal("1.32"))
    assert await tariffs.mark_up("gold", "0.5") == (Decimal("1.32"), Decimal("0.66"))
    assert (await tariffs.show("gold")).listed.settings.multiplier == Decimal("0.66")


@pytest.mark.parametrize(
    ("factor", "problem"),
    [
        ("0", "above zero"),
        ("-1", "negative"),
        ("1.0000001", "more than 6 decimals"),
        ("1.000001", r"1\.234567 x 1\.000001 = 1\.234568234567 has more than 6 decimals"),
        ("999999", r"is above the limit of 999999\.999999"),
        ("1,2", "not a plain number"),
    ],
)
async def test_a_markup_that_does_not_fit_is_refused_and_changes_nothing(database, factor, problem):
    tariffs = Tariffs(database)
    await tariffs.add("gold", {"multiplier": "1.234567"})

    with pytest.raises(InvalidRequest, match=problem):
        await tariffs.mark_up("gold", factor)
    assert (await tariffs.show("gold")).listed.settings.multiplier == Decimal("1.234567")


async def test_a_markup_that_needs_more_decimals_says_the_nearest_that_fits(database):
    await Tariffs(database).add("gold", {"multiplier": "1.234567"})

    with pytest.raises(InvalidRequest) as refused:
        await Tariffs(database).mark_up("gold", "1.000001")

    assert (refused.value.hint, refused.value.about["multiplier"]) == (Hint.CHANGE_MULTIPLIER, "1.234568")


async def test_who_changes_a_tariff_that_is_held_for_long_is_told_so(database, monkeypatch):
    monkeypatch.setattr(tariff_settings, "LOCK_SECONDS", 0.05)
    await Tariffs(database).add("gold", {})
    async with database.transaction(OPERATOR) as tx:
        await tariff_settings.hold_tariff(tx, "gold")
        with pytest.raises(Unavailable, match="'gold' is being changed by somebody else"):
            await Tariffs(database).mark_up("gold", "2")


async def test_tariffs_are_listed_with_the_deck_in_force_and_those_who_have_them(database):
    tariffs = Tariffs(database)
    await publish_deck(database, "retail")
    await publish_deck(database, "retail")
    await tariffs.add("weekend", {"is_option": "yes"})
    for login in ("1001", "1002"):
        await add_account(database, login)
    await Options(database).grant("1001", "weekend")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    await Options(database).grant("1002", "weekend", begins=tomorrow)

    found = [(one.settings.name, one.deck_version, one.rates, one.users) for one in await tariffs.list()]

    assert found == [("retail", 2, 1, 2), ("weekend", None, 0, 1)]


@pytest.mark.breaks_books  # a deck says that it has rates, and has none
async def test_a_tariff_is_shown_with_all_that_belongs_to_it(database):
    deck = await publish_deck(database, "retail")
    await publish_deck(database, "retail")
    await database.fetch(
        "INSERT INTO rate_decks (tariff_id, version, state, effective_from, rate_count) VALUES "
        "($1, 3, 'published', now() + interval '1 day', 7), ($1, 4, 'withdrawn', now() + interval '2 days', 8), "
        "($1, 5, 'loading', NULL, 9)",
        deck.tariff_id,
    )
    await database.fetch("INSERT INTO routes (name, position, cost_tariff_id) VALUES ('a', 1, $1), ('b', 2, NULL)", 1)
    await database.fetch("INSERT INTO tariff_routes VALUES (1, 2, 10)")
    bands = Bands(database)
    await bands.add("retail", band="peak", days="mon-sun", starts="8:00", ends="20:00")
    await bands.add_holiday("de", "2026-10-03")
    await bands.add_holiday("de", "2999-01-01", "far away")
    await Tariffs(database).set("retail", {"holiday_calendar": "de"})
    await Packages(database).add("retail", "hundred", minutes=100)

    card = await Tariffs(database).show("retail")

    assert [(each.version, each.place, each.rates) for each in card.decks] == [
        (4, DeckPlace.WITHDRAWN, 8),
        (3, DeckPlace.AHEAD, 7),
        (2, DeckPlace.IN_FORCE, 1),
        (1, DeckPlace.REPLACED, 1),
    ]
    assert card.bands == (Window("peak", ALL_DAYS, 480, 1200),)
    assert card.holidays[-1] == Holiday("de", date(2999, 1, 1), "far away")
    assert [package.name for package in card.packages] == ["hundred"]
    assert (card.routes, card.cost_of) == (((10, "b"),), ("a",))


async def test_bands_are_tried_in_the_order_they_were_added_unless_put_before(database):
    await Tariffs(database).add("gold", {})
    bands = Bands(database)
    await bands.add("gold", band="peak", days="mon-fri", starts="08:00", ends="20:00")
    await bands.add("gold", band="night", days="mon-sun", starts="22:00", ends="06:00")
    await bands.add("gold", band="feast", days="holiday", starts="00:00", ends="24:00", position=1)

    windows = await bands.windows("gold")
    left = await bands.remove("gold", 2)

    assert windows == (
        Window("feast", frozenset({8}), 0, 1440),
        Window("peak", frozenset({1, 2, 3, 4, 5}), 480, 1200),
        Window("night", ALL_DAYS, 1320, 360),
    )
    assert left == await bands.windows("gold") == (windows[0], windows[2])
    with pytest.raises(NotFound, match="no window 3"):
        await bands.remove("gold", 3)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("band", {"band": "Peak"}),
        ("band", {"band": ""}),
        ("days", {"days": "mon-xyz"}),
        ("starts", {"starts": "8"}),
        ("ends", {"ends": "24:01"}),
        ("starts", {"starts": "24:00"}),
        ("position", {"position": 0}),
    ],
)
async def test_a_band_that_cannot_be_is_refused(database, field, wrong):
    right = {"band": "peak", "days": "mon-fri", "starts": "08:00", "ends": "20:00"}
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await Bands(database).add("gold", **{**right, **wrong})


async def test_a_day_is_added_once_and_named_anew(database):
    bands = Bands(database)

    changed = [await bands.add_holiday("de", "2026-12-25", name) for name in ("", "", "Christmas")]

    assert changed == [1, 0, 1]
    assert await bands.holidays() == [("de", date(2026, 12, 25), "Christmas")]
    await bands.remove_holiday("de", "2026-12-25")
    assert await bands.holidays("de") == []
    with pytest.raises(NotFound, match="has no 2026-12-25"):
        await bands.remove_holiday("de", "2026-12-25")


async def test_a_calendar_may_not_be_called_what_means_no_calendar(database):
    with pytest.raises(InvalidRequest, match=r"^calendar: "):
        await Bands(database).add_holiday("none", "2026-12-25")


async def test_a_file_of_holidays_is_added_to_what_is_there(database, tmp_path):
    bands = Bands(database)
    await bands.add_holiday("de", "2026-10-03", "Unity")
    file = tmp_path / "de.csv"
    file.write_bytes(
        b'\xef\xbb\xbfdate,name\r\n2026-10-03,Unity\r\n\r\n2026-12-25,"Christmas, first day"\r\n2026-12-26\r\n'
    )

    assert await bands.import_holidays("de", file) == 2
    assert await bands.holidays("de") == [
        ("de", date(2026, 10, 3), "Unity"),
        ("de", date(2026, 12, 25), "Christmas, first day"),
        ("de", date(2026, 12, 26), ""),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"2026-12-25,x\n25.12.2026,y\n", r"^line 2: '25\.12\.2026' is not a day"),
        (b"2026-12-25\n2026-12-25\n", "^line 2: 2026-12-25 came before"),
        (b"date,name\n", "^file: .* has no days"),
        (b"\xff\xfe", "^file: .* is not UTF-8"),
        (b"#" * 2_000_001, "^file: .* is larger"),
    ],
)
async def test_a_file_with_a_fault_adds_nothing_and_says_where_it_is(database, tmp_path, content, problem):
    file = tmp_path / "de.csv"
    file.write_bytes(content)

    with pytest.raises(InvalidRequest, match=problem):
        await Bands(database).import_holidays("de", file)
    assert await Bands(database).holidays() == []


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(InvalidRequest, match=r"^file: nowhere\.csv cannot be read"):
        read_holidays(Path("nowhere.csv"))
