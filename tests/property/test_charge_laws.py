"""Laws of the meter, for rates of every kind, against an oracle that counts increment by increment in fractions."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import floor

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rating_engine.rating.charge import charge, max_charge, max_duration, min_charge
from rating_engine.rating.rate import DurationRounding, IncrementMode, PriceUnit, Rate, SurchargeUnit

LAW = settings(deadline=None, max_examples=300)  # how long an example takes is no claim of these tests
COUNTED = settings(deadline=None, max_examples=100)  # the oracle counts second by second

HUGE = Rate(
    price_1="9999999999.99999999",
    price_unit="interval",
    connect_fee="9999999999.99999999",
    postcall_surcharge="9999999999.99999999",
    surcharge_unit="percent",
    decimals=6,
)


def eighths(most):
    """Amounts with up to eight decimals."""
    return st.integers(0, most).map(lambda units: Decimal(units).scaleb(-8))


PRICES = st.one_of(
    st.just(Decimal(0)),
    st.sampled_from(
        [Decimal(text) for text in ("0.01", "0.0033333", "0.10", "0.15", "9.5", "0.00001", "0.5", "0.000005")]
    ),
    eighths(10**6),
    eighths(10**10),
    eighths(10**18 - 1),
)
FEES = st.one_of(st.just(Decimal(0)), PRICES)
LENGTHS = st.one_of(st.sampled_from([1, 6, 10, 18, 30, 60]), st.integers(1, 90))
STARTS = st.one_of(st.just(0), st.integers(0, 40))

RATES = st.builds(
    Rate,
    price_1=PRICES,
    price_n=PRICES,
    price_unit=st.sampled_from(PriceUnit),
    interval_1=LENGTHS,
    interval_n=LENGTHS,
    free_seconds=STARTS,
    grace_period=STARTS,
    connect_fee=FEES,
    postcall_surcharge=FEES,
    surcharge_unit=st.sampled_from(SurchargeUnit),
    decimals=st.integers(0, 6),
    increment_mode=st.sampled_from(IncrementMode),
    duration_rounding=st.sampled_from(DurationRounding),
)
SECONDS = st.one_of(st.integers(0, 200), st.integers(0, 10**6))
SHORT = st.integers(-2, 400)
FUNDS = st.one_of(
    st.integers(0, 10**12).map(lambda units: Decimal(units).scaleb(-6)),
    st.integers(0, 10**26).map(lambda units: Decimal(units).scaleb(-6)),
)


def counted(rate, seconds):
    """(billed seconds, exact total): the specification, step by step, without arithmetic that could be clever."""
    if seconds <= 0 or seconds <= rate.grace_period:
        return 0, Fraction(0)
    by_minute = rate.price_unit is PriceUnit.MINUTE
    first, later = Fraction(rate.price_1), Fraction(rate.price_n)
    first_interval = first * rate.interval_1 / 60 if by_minute else first
    later_interval = later * rate.interval_n / 60 if by_minute else later
    chargeable = max(0, seconds - rate.free_seconds)
    billed, usage = 0, Fraction(0)
    if chargeable > 0:
        billed, usage = rate.interval_1, first_interval
    if rate.increment_mode is IncrementMode.INTERVAL:
        while billed < chargeable:
            billed += rate.interval_n
            usage += later_interval
    elif billed < chargeable:
        while billed < chargeable or billed % rate.interval_n:
            billed += 1
            usage += later_interval / rate.interval_n
    total = Fraction(rate.connect_fee) + usage
    surcharge = Fraction(rate.postcall_surcharge)
    return billed, total + (total * surcharge / 100 if rate.surcharge_unit is SurchargeUnit.PERCENT else surcharge)


def rounded_half_up(total, decimals):
    return Fraction(floor(total * 10**decimals + Fraction(1, 2)), 10**decimals)


@COUNTED
@given(RATES, SHORT)
def test_charge_is_what_counting_increment_by_increment_gives(rate, seconds):
    billed, total = counted(rate, seconds)

    result = charge(rate, seconds)

    assert result.billed_seconds == billed
    assert Fraction(result.cost) == rounded_half_up(total, rate.decimals)


@COUNTED
@given(RATES, SHORT)
def test_the_lines_add_up_to_the_exact_total_before_rounding(rate, seconds):
    result = charge(rate, seconds)

    assert result.exact_total == counted(rate, seconds)[1]
    assert sum(line.seconds for line in result.lines) == result.billed_seconds


@LAW
@given(RATES, SECONDS)
def test_the_integers_of_the_meter_and_the_fractions_of_the_lines_agree(rate, seconds):
    result = charge(rate, seconds)

    assert Fraction(result.cost) == rounded_half_up(result.exact_total, rate.decimals)


@COUNTED
@given(RATES, st.integers(0, 250), st.data())
def test_max_duration_is_the_longest_duration_that_trying_each_finds(rate, cap, data):
    costs = [rounded_half_up(counted(rate, seconds)[1], rate.decimals) for seconds in range(cap + 1)]
    # Funds around the cost of some second: exactly it, or a tenth of the last decimal short of it or beyond it.
    step = Fraction(1, 10 ** (rate.decimals + 1))
    funds = max(Fraction(0), data.draw(st.sampled_from(costs)) + data.draw(st.sampled_from([-step, 0, step])))

    longest = max_duration(rate, exact_decimal(funds), cap)

    assert longest == max(seconds for seconds in range(cap + 1) if costs[seconds] <= funds)


@LAW
@given(RATES, FUNDS, st.integers(0, 10**7))
@example(HUGE, Decimal("99999999999999.999999"), 10**7)
def test_max_duration_is_the_inverse_of_charge(rate, funds, cap):
    longest = max_duration(rate, funds, cap)

    assert 0 <= longest <= cap
    assert charge(rate, longest).cost <= funds
    assert longest == cap or charge(rate, longest + 1).cost > funds


@LAW
@given(RATES, FUNDS, st.integers(0, 10**6), st.data())
def test_no_call_within_its_limit_can_cost_more_than_its_funds(rate, funds, cap, data):
    seconds = data.draw(st.integers(0, max_duration(rate, funds, cap)))

    assert charge(rate, seconds).cost <= funds


@LAW
@given(RATES, st.integers(1, 10**6))
def test_the_max_charge_of_a_cap_pays_for_the_cap(rate, cap):
    assert max_duration(rate, max_charge(rate, cap), cap) == cap


@LAW
@given(RATES, FUNDS)
def test_funds_of_the_min_charge_and_only_they_buy_a_second_past_grace(rate, funds):
    assert (max_duration(rate, funds, 10**6) > rate.grace_period) == (funds >= min_charge(rate))


@LAW
@given(RATES, SECONDS, SECONDS)
def test_a_longer_call_never_costs_less_nor_is_billed_shorter(rate, one, other):
    shorter, longer = charge(rate, min(one, other)), charge(rate, max(one, other))

    assert 0 <= shorter.cost <= longer.cost
    assert shorter.billed_seconds <= longer.billed_seconds


@LAW
@given(RATES, SECONDS)
def test_what_is_billed_covers_the_chargeable_seconds_and_less_than_one_increment_more(rate, seconds):
    billed = charge(rate, seconds).billed_seconds
    chargeable = max(0, seconds - rate.free_seconds) if seconds > rate.grace_period else 0

    assert chargeable <= billed < chargeable + max(rate.interval_1, rate.interval_n) + (chargeable == 0)


@LAW
@given(RATES, st.integers(0, 10**6), st.integers(0, 999))
def test_a_fraction_of_a_second_is_one_of_the_two_whole_seconds_around_it(rate, whole, thousandths):
    seconds = Decimal(whole) + Decimal(thousandths).scaleb(-3)
    up = thousandths > 0 if rate.duration_rounding is DurationRounding.UP else thousandths >= 500

    assert charge(rate, seconds) == charge(rate, whole + up)


@LAW
@given(RATES)
def test_the_stored_form_of_a_rate_brings_back_the_same_rate(rate):
    again = Rate.from_json(rate.to_json())

    assert again == rate
    assert again.to_json() == rate.to_json()


@LAW
@given(RATES, SECONDS, FUNDS)
def test_the_decimal_context_of_the_caller_changes_no_answer(rate, seconds, funds):
    expected = charge(rate, seconds).cost, max_duration(rate, funds, 7200)

    with localcontext(prec=2):
        fresh = Rate.from_json(rate.to_json())
        assert (charge(fresh, seconds).cost, max_duration(fresh, funds, 7200)) == expected


def test_costs_beyond_the_digits_of_the_default_context_are_exact():
    result = charge(HUGE, 10**12 + 1)

    assert len(result.cost.as_tuple().digits) > 28
    assert Fraction(result.cost) == rounded_half_up(result.exact_total, 6)


def exact_decimal(value):
    """A decimal fraction as a Decimal, whatever its number of digits."""
    places = 7  # one more than the most decimals of a rate
    scaled = value * 10**places
    assert scaled.denominator == 1
    return Decimal((0, tuple(int(digit) for digit in str(scaled.numerator)), -places))
