"""How many charges and max durations one core works out a second, over a mix of realistic rates.

Plain rates, which have a closed form, have an aim; beside them stand those that the general meter prices.

python benchmarks/rating.py            five rounds, a few seconds
python benchmarks/rating.py --rounds 9
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from rating_engine.rating.charge import charge, max_duration
from rating_engine.rating.rate import Change, Rate, Tier

CHARGES_AIM: Final = 300_000
MAX_DURATIONS_AIM: Final = 200_000
CAP: Final = 7200
MAX_ROUNDS: Final = 15  # keeps the run under ten seconds on a machine at half speed
OPERATIONS: Final = 100_000  # a round: long enough to drown the clock, short enough to see noise between rounds

# What decks hold: per second, per minute, 30/6, fees, grace, free seconds, surcharges, flat prices, free numbers.
RATES: Final = (
    Rate(price_1="0.06", price_unit="minute"),
    Rate(price_1="0.15", price_unit="minute", interval_1=60, interval_n=60),
    Rate(price_1="0.0123", price_unit="minute", interval_1=30, interval_n=6),
    Rate(price_1="0.10", price_unit="minute", interval_1=60, connect_fee="0.05"),
    Rate(price_1="0.25", price_n="0.005", interval_1=60),
    Rate(price_1="0.10", price_unit="minute", interval_1=60, interval_n=60, grace_period=3, connect_fee="0.05"),
    Rate(price_1="0.10", price_unit="minute", interval_1=60, interval_n=60, free_seconds=30),
    Rate(price_1="0.10", price_unit="minute", connect_fee="0.05", postcall_surcharge="7.5", surcharge_unit="percent"),
    Rate(price_1="0.60", price_unit="minute", interval_1=30, interval_n=18, increment_mode="total"),
    Rate(price_1="9.5", price_unit="minute", interval_1=60, interval_n=30, connect_fee="1.2"),
    Rate(price_1="0"),
)
# What the closed form does not say: tiers, another price at night, minutes of a package, added and rounded-up seconds.
RARE_RATES: Final = (
    Rate(price_1="0.20", price_unit="minute", interval_n=6, tiers=[Tier("0.10", "0.50", 60, 60)]),
    Rate(price_1="0.06", price_unit="minute", interval_1=30, interval_n=6, changes=[Change(300, "0.03", "minute", 6)]),
    Rate(price_1="0.10", price_unit="minute", interval_1=60, interval_n=60, connect_fee="0.05", covered_seconds=400),
    Rate(price_1="0.15", price_unit="minute", added_seconds=5, round_up_above=20, round_up_to=60),
)
RARE_SHARE: Final = 5  # of a round's operations: they take longer
SECONDS: Final = (2, 17, 45, 61, 128, 300, 754, 1800)
FUNDS: Final = tuple(map(Decimal, ("0.03", "0.50", "1.75", "4.20", "12.345678", "250.00")))


def per_second(operation: Callable[[], None], operations: int, rounds: int) -> float:
    """The median of `rounds`, after one that is not counted, in operations a second."""
    figures = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        operation()
        figures.append(operations / (time.perf_counter() - started))
    return statistics.median(figures[1:])


def measure_charges(rates: Sequence[Rate], operations: int, rounds: int) -> float:
    work = [(rate, seconds) for rate in rates for seconds in SECONDS]
    repeats = operations // len(work)

    def operation() -> None:
        for _ in range(repeats):
            for rate, seconds in work:
                charge(rate, seconds)

    return per_second(operation, repeats * len(work), rounds)


def measure_max_durations(rates: Sequence[Rate], operations: int, rounds: int) -> float:
    work = [(rate, funds) for rate in rates for funds in FUNDS]
    repeats = operations // len(work)

    def operation() -> None:
        for _ in range(repeats):
            for rate, funds in work:
                max_duration(rate, funds, CAP)

    return per_second(operation, repeats * len(work), rounds)


def rounds_from(text: str) -> int:
    rounds = int(text)
    if not 1 <= rounds <= MAX_ROUNDS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_ROUNDS}")
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(description="Charges and max durations a second, on one core.")
    parser.add_argument("--rounds", type=rounds_from, default=5, help="measured rounds, 1 to 15; the median is printed")
    rounds = parser.parse_args().rounds
    print(f"{'rating, one core':<18}{'per second':>12}{'aim':>12}{'of aim':>9}{'general':>12}")
    for name, measure, aim in (
        ("charge", measure_charges, CHARGES_AIM),
        ("max_duration", measure_max_durations, MAX_DURATIONS_AIM),
    ):
        figure = measure(RATES, OPERATIONS, rounds)
        general = measure(RARE_RATES, OPERATIONS // RARE_SHARE, rounds)
        print(f"{name:<18}{figure:>12,.0f}{aim:>12,}{figure / aim:>9.2f}{general:>12,.0f}")
    print(
        f"median of {rounds} rounds of {OPERATIONS:,} over {len(RATES)} rates; general: over {len(RARE_RATES)} others"
    )


if __name__ == "__main__":
    main()
