from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from rating_engine.rating.exchange import EXCHANGE_DECIMALS, ExchangeRates

LAW = settings(deadline=None, max_examples=200)
CURRENCIES = st.sampled_from(["EUR", "USD", "IDR"])
INSTANTS = st.integers(0, 5).map(lambda hours: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours))
RATES = st.integers(1, 10**20 - 1).map(lambda units: Decimal(units).scaleb(-EXCHANGE_DECIMALS))  # NUMERIC(20,10)
ROWS = st.lists(
    st.tuples(CURRENCIES, CURRENCIES, INSTANTS, RATES).filter(lambda row: row[0] != row[1]),
    max_size=12,
    unique_by=lambda row: row[:3],
)


@LAW
@given(ROWS, CURRENCIES, CURRENCIES, INSTANTS)
def test_the_rate_is_what_looking_at_every_row_finds(rows, currency_from, currency_to, at):
    def newest(pair):
        in_force = [(row[2], row[3]) for row in rows if row[:2] == pair and row[2] <= at]
        return max(in_force)[1] if in_force else None

    found = ExchangeRates(rows).rate_at(currency_from, currency_to, at)

    direct, opposite = newest((currency_from, currency_to)), newest((currency_to, currency_from))
    if currency_from == currency_to:
        assert found == 1
    elif direct is not None:
        assert found == direct
    elif opposite is not None:
        assert found is not None
        assert found > 0
        assert abs(Fraction(found) - 1 / Fraction(opposite)) <= Fraction(1, 2 * 10**EXCHANGE_DECIMALS)
    else:
        assert found is None
