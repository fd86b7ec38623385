import pytest

from rating_engine.rating.number import InvalidNumber, without_punctuation
from rating_engine.rating.numbering import NumberingPlan, destination_of, is_international, national

DEFAULT = NumberingPlan("default")
BRITISH = NumberingPlan("uk", national_prefix="0", country_code="44")
AMERICAN = NumberingPlan("nanp", international_prefix="011", national_prefix="1", country_code="1")
RUSSIAN = NumberingPlan("ru", international_prefix="810", national_prefix="8", country_code="7")


@pytest.mark.parametrize(
    ("plan", "dialled", "destination"),
    [
        (BRITISH, "020 7946 0000", "442079460000"),
        (BRITISH, "+44 20 7946 0000", "442079460000"),
        (BRITISH, "0044 20 7946 0000", "442079460000"),  # 00 is looked at before 0
        (BRITISH, "442079460000", "442079460000"),  # with nothing before it, a number begins with its country code
        (AMERICAN, "1 (212) 555-0100", "12125550100"),
        (AMERICAN, "011 44 20 7946 0000", "442079460000"),
        (AMERICAN, "+1 212 555 0100", "12125550100"),
        (RUSSIAN, "8 495 123-45-67", "74951234567"),
        (RUSSIAN, "8 10 44 20 7946 0000", "442079460000"),
        (NumberingPlan("none", international_prefix=""), "00442079460000", "00442079460000"),
        (NumberingPlan("trunk", "", "0", "44"), "02079460000", "442079460000"),
    ],
)
def test_prefixes_of_a_plan_say_what_a_number_is(plan, dialled, destination):
    assert destination_of(dialled, plan) == destination


TECHNICAL = NumberingPlan("tech", national_prefix="0", country_code="44", technical_prefixes=("9", "99", "77#"))


@pytest.mark.parametrize(
    ("dialled", "destination"),
    [
        ("9442079460000", "442079460000"),
        ("99442079460000", "442079460000"),  # the longest
        ("99 0044 20 7946 0000", "442079460000"),
        ("9902079460000", "442079460000"),
        ("99+442079460000", "442079460000"),
        ("77#442079460000", "442079460000"),
        ("999442079460000", "9442079460000"),  # once
        ("+99442079460000", "99442079460000"),  # + is no technical prefix: the number is Tajikistan's or the like
        ("442079460000", "442079460000"),
    ],
)
def test_the_longest_technical_prefix_is_no_part_of_the_number(dialled, destination):
    assert destination_of(dialled, TECHNICAL) == destination


REWRITING = NumberingPlan(
    "rewriting",
    national_prefix="0",
    country_code="44",
    technical_prefixes=("88",),
    rewrites={
        "0800": "+44800",
        "08": "0044900",
        "112": "+44112",
        "9": "",  # an outside line
        "*31#": "",
        "+": "",
        "5": "999",
        "6": "0",
    },
)


@pytest.mark.parametrize(
    ("dialled", "destination"),
    [
        ("0800 123 456", "44800123456"),  # the longest key
        ("08 123 456", "44900123456"),
        ("112", "44112"),
        ("9 020 7946 0000", "442079460000"),  # what comes out is read as if dialled
        ("9 00 44 20 7946 0000", "442079460000"),
        ("6 20 7946 0000", "442079460000"),
        ("*31# 020 7946 0000", "442079460000"),
        ("9 0800 123", "44800123"),  # by the national prefix: 0800 is not rewritten any more
        ("5 112", "999112"),  # once
        ("88 112", "44112"),  # after the technical prefix
        ("9 88 44", "8844"),  # which does not go afterwards
        ("+0020", "20"),
    ],
)
def test_special_prefixes_are_rewritten_once_by_the_longest(dialled, destination):
    assert destination_of(dialled, REWRITING) == destination


@pytest.mark.parametrize(
    ("dialled", "destination"),
    [
        ("21", "442079460000"),
        ("2 1", "442079460000"),
        ("*21", "491234567"),
        ("#1", "12125550100"),
        ("22", "21"),  # no chain
        ("212", "212"),  # the whole text alone
        ("0021", "21"),
        ("30", "44112"),
        ("31", "442079460001"),
        ("32", "442079460001"),
    ],
)
def test_a_short_number_stands_for_its_destination_as_if_that_had_been_dialled(dialled, destination):
    aliases = {
        "21": "020 7946 0000",
        "*21": "+491234567",
        "#1": "0012125550100",
        "22": "21",
        "30": "112",
        "31": "88442079460001",
        "32": "8 8 (44) 2079460001",
    }

    assert destination_of(dialled, REWRITING, aliases) == destination


def test_an_alias_counts_before_what_the_plan_says_of_its_digits():
    assert destination_of("00", DEFAULT, {"00": "+442079460000"}) == "442079460000"
    assert destination_of("112", REWRITING, {"112": "+49110"}) == "49110"


@pytest.mark.parametrize(
    ("plan", "dialled", "problem"),
    [
        (DEFAULT, "*21", "has '*', which is not a digit"),
        (DEFAULT, "21##", "has '#', which is not a digit"),
        (DEFAULT, "2#1", "has '#', which is not a digit"),
        (BRITISH, "0#", "has no digits after the national prefix"),
        (BRITISH, "020 (0) 7946", "has a zero in brackets that does not stand behind the country code"),
        (REWRITING, "9*21", "has '*', which is not a digit"),
        (REWRITING, "*31#", "has no digits"),
        (REWRITING, "88", "has no digits"),
        (BRITISH, "0", "has no digits after the national prefix"),
        (BRITISH, "0+44", "has '+', which is not a digit"),
        (BRITISH, "", "has no digits"),
        (BRITISH, "alice", "has 'a', which is not a digit"),
        (BRITISH, "0" + "1" * 31, "has more than 32 digits"),  # with its country code
        (DEFAULT, " " * 129, "is longer than 128 characters"),
    ],
    ids=lambda value: ascii(value)[:24] if isinstance(value, str) else value.name,
)
def test_what_is_no_number_under_the_plan_is_refused_with_the_reason(plan, dialled, problem):
    with pytest.raises(InvalidNumber) as refused:
        destination_of(dialled, plan)

    assert str(refused.value) == problem


def test_an_alias_of_no_number_is_refused_like_a_number_dialled():
    with pytest.raises(InvalidNumber, match="has '#', which is not a digit"):
        destination_of("21", DEFAULT, {"21": "2#2"})


def test_a_trailing_hash_ends_dialling_unless_it_is_part_of_an_alias():
    aliases = {"21": "442079460000", "22#": "493018001800"}

    assert destination_of("21#", DEFAULT, aliases) == "442079460000"
    assert destination_of("22#", DEFAULT, aliases) == "493018001800"
    assert destination_of("22", DEFAULT, aliases) == "22"
    assert destination_of("020 7946 0000#", BRITISH) == "442079460000"


def test_a_trunk_zero_in_brackets_is_no_part_of_the_number_under_any_plan():
    assert destination_of("0044 (0)20 7946 0000", BRITISH) == "442079460000"
    assert destination_of("(0)20 7946 0000", BRITISH) == "442079460000"


@pytest.mark.parametrize(
    ("callerid", "international"),
    [
        ("+442079460000", True),
        ("442079460000", True),
        ("1234567", True),
        ("123456", False),
        ("123456789012345", True),
        ("1234567890123456", False),
        ("+123456789012345", True),
        ("02079460000", False),  # as dialled at home
        ("00442079460000", False),
        ("+02079460000", False),
        ("++442079460000", False),
        ("4420+79460000", False),
        ("anonymous", False),
        ("+", False),
        ("", False),
        ("٤٤٢٠٧٩٤٦٠٠٠٠", False),
        ("442079460000\n", False),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_an_international_callerid_is_a_whole_number_of_e164(callerid, international):
    assert is_international(callerid) is international


@pytest.mark.parametrize(
    ("callerid", "country_code", "is_national"),
    [
        ("+442079460000", "44", True),
        ("442079460000", "44", True),
        ("+12125550100", "44", False),
        ("441", "44", False),  # of no country's length
        ("02079460000", "44", False),  # could be anyone's
        ("anonymous", "44", False),
        ("", "44", False),
        ("442079460000", "", False),  # of no country
    ],
)
def test_a_national_callerid_is_a_whole_number_of_the_country(callerid, country_code, is_national):
    assert national(callerid, country_code) is is_national


def test_punctuation_is_what_people_write_between_digits():
    assert without_punctuation(" (+44) 20.7946-0000*#") == "+442079460000*#"
    assert without_punctuation("44 ( 0 ) 20") == "44(0)20"
