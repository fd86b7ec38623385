"""Wrong things are counted once each, for a while, and in bounded memory."""

from __future__ import annotations

from rating_engine.services.parties.tries import EACH_MAX, KNOWN_MAX, Tries


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_different_ones_count_and_the_same_again_does_not():
    tries = Tries(60)

    assert [tries.wrong("here", what) for what in ("a", "a", b"a", "b")] == [1, 1, 1, 2]
    assert (tries.count("here"), tries.count("there")) == (2, 0)
    tries.forget("here")
    assert tries.count("here") == 0


def test_each_is_forgotten_after_its_time():
    clock = Clock()
    tries = Tries(60, monotonic=clock)
    tries.wrong("here", "a")
    clock.now = 30
    tries.wrong("here", "b")
    clock.now = 60

    assert tries.count("here") == 1
    assert tries.wrong("here", "c") == 2


def test_what_is_remembered_is_bounded():
    tries = Tries(60)
    for number in range(KNOWN_MAX + 1):
        tries.wrong(str(number), "a")
    for number in range(2 * EACH_MAX):
        tries.wrong("last", str(number))

    assert (tries.count("0"), tries.count("1"), tries.count("2"), tries.count("last")) == (0, 0, 1, EACH_MAX)
