"""Leave to ask is taken by the dozen where much is asked, and one by one where little is."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rating_engine.services.parties.request_limits import MostAMinute, RequestLimits


@dataclass
class Room:
    """Counters that have room for so many, at a time that the test says."""

    room: int
    now: float = 0.0
    asked: list[int] = field(default_factory=list)

    async def take(self, name: str, limit: int, number: int = 1) -> float:
        self.asked.append(number)
        if number > self.room:
            return 20.0
        self.room -= number
        return 0.0

    def limits(self, most: int) -> RequestLimits:
        return RequestLimits(self, MostAMinute(address=most), monotonic=lambda: self.now)


async def told(limits: RequestLimits, times: int, address: str = "192.0.2.7") -> list[int]:
    return [await limits.of_address(address) for _ in range(times)]


async def test_who_asks_much_is_counted_by_the_dozen_and_never_more_than_a_hundredth_at_once():
    room = Room(10_000)

    assert set(await told(room.limits(800), 100)) == {0}
    assert room.asked[:5] == [1, 2, 4, 8, 8]
    assert len(room.asked) < 20


async def test_who_asks_once_a_while_is_counted_once_each():
    room = Room(10_000)
    limits = room.limits(800)
    for _ in range(10):
        await told(limits, 1)
        room.now += 2
    assert room.asked == [1] * 10


@pytest.mark.parametrize("number", [0, 1, 5, 14, 100])
async def test_exactly_as_many_as_there_is_room_for_are_let_through(number):
    assert (await told(Room(number).limits(800), number + 5)).count(0) == number


async def test_who_is_refused_is_not_counted_again_for_a_second():
    room = Room(0)
    limits = room.limits(60)

    assert await told(limits, 50) == [20] * 50
    assert room.asked == [1]
    room.now, room.room = 1.5, 1
    assert await told(limits, 1) == [0]


async def test_one_that_is_refused_is_nobody_elses_matter_and_addresses_of_one_host_are_one():
    class Own(Room):
        async def take(self, name: str, limit: int, number: int = 1) -> float:
            return 5.0 if "192.0.2.7" in name or "2001:db8:0:1::/64" in name else 0.0

    limits = Own(0).limits(60)

    assert await told(limits, 1) == [5]
    assert await told(limits, 1, "192.0.2.8") == [0]
    told_v6 = [await limits.of_address(f"2001:db8:0:{each}") for each in ("1::5", "1::6", "2::5")]
    assert told_v6 == [5, 5, 0]


async def test_a_limit_of_nothing_is_none_and_so_is_none():
    room = Room(0)
    assert await told(room.limits(0), 3) == [0, 0, 0]
    assert await RequestLimits().of_address("192.0.2.7") == 0
    assert room.asked == []
