"""Laws of the meter, for rates of every kind, against an oracle that counts increment by increment in fractions."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from math import ceil, floor

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rating_engine.rating.charge import charge, max_charge, max_duration, min_charge
from rating_engine.rating.rate import Change, DurationRounding, IncrementMode, PriceUnit, Rate, SurchargeUnit, Tier
from rating_engine.rating.spans import is_plain, span_terms_of

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

MULTIPLIERS = st.one_of(
    st.just(Decimal(1)),
    st.sampled_from(
        [Decimal(text) for text in ("1.2", "0.5", "1E+3", "0.0000000001", "1.234567890123456789012345678901234567891")]
    ),
    st.integers(1, 10**12).map(lambda units: Decimal(units).scaleb(-6)),
)
COVERED = st.one_of(st.just(0), st.integers(0, 400), st.just(2**31 - 1))

PLAIN_FIELDS = {
    "price_1": PRICES,
    "price_n": PRICES,
    "price_unit": st.sampled_from(PriceUnit),
    "interval_1": LENGTHS,
    "interval_n": LENGTHS,
    "free_seconds": STARTS,
    "grace_period": STARTS,
    "connect_fee": FEES,
    "postcall_surcharge": FEES,
    "surcharge_unit": st.sampled_from(SurchargeUnit),
    "decimals": st.integers(0, 6),
    "increment_mode": st.sampled_from(IncrementMode),
    "duration_rounding": st.sampled_from(DurationRounding),
    "multiplier": MULTIPLIERS,
    "minimum_charge": FEES,
}
TIERS = st.lists(st.builds(Tier, FEES, PRICES, st.integers(1, 120), LENGTHS), max_size=4)
CHANGES = st.lists(
    st.builds(Change, st.integers(1, 300), PRICES, st.sampled_from(PriceUnit), LENGTHS, MULTIPLIERS),
    max_size=4,
    unique_by=lambda change: change.at_second,
).map(lambda changes: sorted(changes, key=lambda change: change.at_second))
ROUND_UP = st.tuples(STARTS, st.integers(1, 60)).map(
    lambda lengths: {"round_up_above": lengths[0], "round_up_to": sum(lengths)}
)
BLOCKS = st.fixed_dictionaries({"block_charge": FEES, "block_seconds": st.integers(1, 120)})
RARE_FIELDS = {
    "surcharge_after": STARTS,
    "added_seconds": STARTS,
    "added_percent": st.one_of(st.just(0), st.integers(0, 150)),
    "tiers": TIERS,
    "changes": CHANGES,
    "covered_seconds": COVERED,
    "waived_fees": st.booleans(),
    "volume_factor": MULTIPLIERS,
}

PLAIN_RATES = st.builds(Rate, **PLAIN_FIELDS)
RARE_RATES = st.builds(
    lambda fields, round_up, blocks: Rate(**fields, **round_up, **blocks),
    st.fixed_dictionaries(PLAIN_FIELDS, optional=RARE_FIELDS),
    st.one_of(st.just({}), ROUND_UP),
    st.one_of(st.just({}), BLOCKS),
)
RATES = st.one_of(PLAIN_RATES, RARE_RATES)
SECONDS = st.one_of(st.integers(0, 200), st.integers(0, 10**6))
SHORT = st.one_of(st.integers(-2, 90), st.integers(-2, 400))
FUNDS = st.one_of(
    st.integers(0, 10**12).map(lambda units: Decimal(units).scaleb(-6)),
    st.integers(0, 10**26).map(lambda units: Decimal(units).scaleb(-6)),
)


def counted(rate, seconds):
    """(billed seconds, exact total): the specification, step by step, without arithmetic that could be clever."""
    if seconds <= 0 or seconds <= rate.grace_period:
        return 0, Fraction(0)
    length = seconds + rate.added_seconds + ceil(Fraction(seconds * rate.added_percent, 100))
    if rate.round_up_above < length < rate.round_up_to:
        length = rate.round_up_to
    billed = billed_prices(rate, length - rate.free_seconds)
    paid = billed[rate.covered_seconds :]
    covered_whole = rate.covered_seconds > 0 and not paid
    if covered_whole and rate.waived_fees:
        return len(billed), Fraction(0)
    total = Fraction(rate.connect_fee)
    total += sum((price * often for (price, _), often in Counter(paid).items()), Fraction(0))
    total += sum(Fraction(rate.tiers[tier].step_charge) for tier in {tier for _, tier in paid} - {None})
    if rate.block_charge:
        total += Fraction(rate.block_charge) * (length // rate.block_seconds)
    surcharge = Fraction(rate.postcall_surcharge)
    if seconds >= rate.surcharge_after:
        total += total * surcharge / 100 if rate.surcharge_unit is SurchargeUnit.PERCENT else surcharge
    if not covered_whole:
        total = max(total, Fraction(rate.minimum_charge))
    return len(billed), total * Fraction(rate.multiplier)


def billed_prices(rate, chargeable):
    """(price, index of its tier) of each billed second, one after the other."""
    billed = []
    if chargeable <= 0:
        return billed
    if rate.tiers:
        chargeable = max(chargeable, rate.interval_1)
        done = 0
        for index, tier in enumerate(rate.tiers):
            ends = len(billed) + min(tier.seconds, chargeable - done)
            while len(billed) < ends:
                billed += [(Fraction(tier.price) / 60, index)] * tier.increment
            done += tier.seconds
            if done >= chargeable:
                break
    else:
        done = rate.interval_1
        billed += [(a_second(rate.price_1, rate.price_unit, rate.interval_1), None)] * done
    whole = rate.increment_mode is IncrementMode.INTERVAL or rate.tiers
    while done < chargeable:
        price, increment = price_at(rate, rate.free_seconds + done)
        last = done + increment if whole else done + increment - done % increment
        billed += [(price, None)] * (last - done)
        done = last
    return billed


def price_at(rate, second):
    """(price of one second, increment) of an increment that starts at that second of the call."""
    price = a_second(rate.price_n, rate.price_unit, rate.interval_n), rate.interval_n
    for change in rate.changes:
        if change.at_second <= second:
            changed = a_second(change.price_n, change.price_unit, change.interval_n)
            price = changed * Fraction(change.multiplier), change.interval_n
    return price


def a_second(price, price_unit, interval):
    return Fraction(price) / (60 if price_unit is PriceUnit.MINUTE else interval)


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
@given(PLAIN_RATES, SECONDS)
def test_what_is_billed_covers_the_chargeable_seconds_and_less_than_one_increment_more(rate, seconds):
    billed = charge(rate, seconds).billed_seconds
    chargeable = max(0, seconds - rate.free_seconds) if seconds > rate.grace_period else 0

    assert chargeable <= billed < chargeable + max(rate.interval_1, rate.interval_n) + (chargeable == 0)


@LAW
@given(PLAIN_RATES, SECONDS)
def test_the_general_meter_says_the_same_of_plain_rates(rate, seconds):
    assume(seconds > rate.grace_period)
    plain = charge(rate, seconds)

    billed, units = span_terms_of(rate).bill(rate, seconds)

    assert is_plain(rate)
    assert (billed, Decimal(units).scaleb(-rate.decimals)) == (plain.billed_seconds, plain.cost)


@LAW
@given(PLAIN_RATES, FUNDS, st.integers(1, 10**6))
def test_the_general_meter_finds_the_same_limit_for_plain_rates(rate, funds, cap):
    assume(cap > rate.grace_period)
    units = floor(Fraction(funds) * 10**rate.decimals)

    assert span_terms_of(rate).longest(rate, units, cap) == max_duration(rate, funds, cap)


@LAW
@given(RATES, SECONDS, COVERED, COVERED)
def test_more_covered_seconds_never_make_a_call_dearer(rate, seconds, one, other):
    less = charge(replace(rate, covered_seconds=min(one, other)), seconds)
    more = charge(replace(rate, covered_seconds=max(one, other)), seconds)

    assert more.cost <= less.cost
    assert more.billed_seconds == less.billed_seconds
    assert less.covered_seconds <= more.covered_seconds <= more.billed_seconds


@LAW
@given(RATES, SECONDS)
def test_a_call_that_is_covered_whole_costs_its_fees_and_nothing_where_they_are_waived(rate, seconds):
    billed = charge(rate, seconds).billed_seconds
    assume(billed)
    covered = replace(rate, covered_seconds=billed, waived_fees=False)
    without_prices = replace(
        rate,
        price_1=Decimal(0),
        price_n=Decimal(0),
        tiers=[Tier(0, 0, tier.seconds, tier.increment) for tier in rate.tiers],
        changes=[],
        minimum_charge=Decimal(0),
        covered_seconds=0,
    )

    assert charge(covered, seconds).cost == charge(without_prices, seconds).cost
    assert charge(replace(covered, waived_fees=True), seconds).cost == 0


@LAW
@given(RATES, SECONDS, st.integers(1, 400))
def test_a_change_to_the_price_in_force_changes_nothing(rate, seconds, at_second):
    assume(all(change.at_second != at_second for change in rate.changes))
    before = [change for change in rate.changes if change.at_second < at_second]
    after = [change for change in rate.changes if change.at_second > at_second]
    again = (
        replace(before[-1], at_second=at_second)
        if before
        else Change(at_second, rate.price_n, rate.price_unit, rate.interval_n)
    )
    split = charge(replace(rate, changes=[*before, again, *after]), seconds)

    plain = charge(rate, seconds)
    assert (split.billed_seconds, split.cost) == (plain.billed_seconds, plain.cost)


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
