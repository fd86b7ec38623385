from hypothesis import given, settings
from hypothesis import strategies as st

from rating_engine.rating.number import MAX_NUMBER_DIGITS, InvalidNumber, normalise_callerid, normalise_destination
from rating_engine.rating.numbering import NumberingPlan, destination_of, is_international, national

LAW = settings(deadline=None, max_examples=200)
DIGITS = st.text("0123456789", min_size=1, max_size=32)
DIALLED = st.one_of(st.text("0123456789+-.() *#", max_size=40), st.text(max_size=140), DIGITS)
FEW = st.text("0149", max_size=3)  # few digits, so that prefixes meet
KEYS = st.text("0149*#", min_size=1, max_size=3)
PLANS = st.builds(
    NumberingPlan,
    st.just("any"),
    FEW,
    FEW,
    st.text("149", min_size=1, max_size=2),
    st.lists(KEYS, max_size=3).map(tuple),
    st.dictionaries(KEYS, st.text("0149+", max_size=4), max_size=4),
)
ALIASES = st.dictionaries(KEYS, st.text("0149+", min_size=1, max_size=6), max_size=4)


def outcome(normalise, *arguments, **named):
    try:
        return normalise(*arguments, **named)
    except InvalidNumber as error:
        return f"refused: {error}"


@LAW
@given(DIALLED, FEW)
def test_a_plan_that_only_has_an_international_prefix_reads_numbers_as_before(text, prefix):
    plan = NumberingPlan("plain", prefix)

    assert outcome(destination_of, text, plan) == outcome(normalise_destination, text, international_prefix=prefix)
    assert outcome(destination_of, text, NumberingPlan("default")) == outcome(normalise_destination, text)


@LAW
@given(DIALLED, PLANS, ALIASES)
def test_whatever_is_dialled_under_whatever_plan_the_answer_is_a_number_or_a_refusal(text, plan, aliases):
    digits = outcome(destination_of, text, plan, aliases)

    assert digits.startswith("refused: ") or (
        set(digits) <= set("0123456789") and 1 <= len(digits) <= MAX_NUMBER_DIGITS
    )


@LAW
@given(DIGITS, PLANS, ALIASES)
def test_a_number_with_a_plus_is_itself_under_every_plan(digits, plan, aliases):
    assert destination_of("+" + digits, plan, aliases) == digits


@LAW
@given(DIALLED, PLANS, ALIASES)
def test_a_destination_read_again_with_a_plus_stays_what_it_is(text, plan, aliases):
    digits = outcome(destination_of, text, plan, aliases)

    if not digits.startswith("refused: "):
        assert destination_of("+" + digits, plan, aliases) == digits


@LAW
@given(st.text("0149", min_size=1, max_size=12), PLANS, st.sampled_from([" ", "-", ".", "(", ") "]))
def test_punctuation_changes_nothing(text, plan, gap):
    assert outcome(destination_of, gap.join(text), plan) == outcome(destination_of, text, plan)


@LAW
@given(st.text("0149+ (", max_size=20), PLANS)
def test_the_end_of_dialling_is_no_part_of_a_number(text, plan):
    if not any("#" in key for key in (*plan.technical_prefixes, *plan.rewrites)):
        assert outcome(destination_of, text + "#", plan) == outcome(destination_of, text, plan)


@LAW
@given(KEYS, st.text("0149+", min_size=1, max_size=12), PLANS)
def test_an_alias_is_its_destination_dialled(alias, destination, plan):
    assert outcome(destination_of, alias, plan, {alias: destination}) == outcome(destination_of, destination, plan)


@LAW
@given(
    st.one_of(st.text("0123456789+", max_size=18), st.text(max_size=60)).map(normalise_callerid),
    st.text("149", max_size=2),
)
def test_a_national_callerid_is_an_international_one_of_its_country(callerid, country_code):
    is_national = national(callerid, country_code)

    assert not is_national or is_international(callerid)
    assert is_national == (
        country_code != ""
        and is_international(callerid)
        and destination_of(callerid, NumberingPlan("any", "")).startswith(country_code)
    )
