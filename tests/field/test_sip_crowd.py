"""Many calls at once on one prepaid account, placed and taken by SIPp: it is spent to the last cent, and no further."""

from __future__ import annotations

import pytest

from tests.asterisk.pbx import PRICE
from tests.asterisk.sipp import Sipp
from tests.field.office import CROWD, CROWD_CALLS, CROWD_SECONDS, CROWDED, Scene, charged_for

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
TOO_MANY = 10


async def test_sixty_calls_at_once_spend_the_money_to_the_last_cent_and_no_more_are_let_through(scene: Scene) -> None:
    sipp = Sipp(scene.office.exchange)
    calls = CROWD_CALLS + TOO_MANY
    async with sipp.carrier(scene.office.crowd_port):
        assert await sipp.call(CROWD, CROWDED + "00", port=scene.office.port, calls=calls, together=calls) == 0
        cdrs = (await scene.charges())[CROWD]
    talks = sipp.talks()
    assert len(talks) == CROWD_CALLS
    assert all(charged_for(talk.seconds) >= CROWD_SECONDS for talk in talks)  # cut late or not, never charged beyond
    assert [cdr["cost"] for cdr in cdrs] == [PRICE * CROWD_SECONDS] * CROWD_CALLS
    assert await scene.pbx.money(CROWD) == (0, 0)
