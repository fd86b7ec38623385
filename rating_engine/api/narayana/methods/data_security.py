"""Section Data security: bans. They are of the whole installation, and for who manages it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.domain.ban import ENGINE_SOURCE, Ban


async def get_bans(asked: Asked) -> Answer:
    """All that count now, and what is whitelisted."""
    offset = (await asked.user()).utc_offset
    return [_shown(ban, offset) for ban in await whole_list(asked.use.bans.page)]


async def flush_bans(asked: Asked) -> Answer:
    """Those of this engine, and of the exchange whose key it is."""
    for source in (ENGINE_SOURCE, asked.key.name):
        await asked.use.bans.flush(source=source)
    return True


async def ban_ip(asked: Asked) -> Answer:
    """An address or a network; with the source `whitelist` it is protected."""
    values = asked.values
    await asked.use.bans.add(
        values.needed_text("target"), source=values.needed_text("source"), reason=values.text("reason") or ""
    )
    return True


async def unban_ip(asked: Asked) -> Answer:
    """One ban, by its number."""
    ban = await asked.use.bans.show(asked.values.needed_whole("id"))
    await asked.use.bans.remove(str(ban.target), source=ban.source)
    return True


async def update_ban_permanent(asked: Asked) -> Answer:
    """Whether flushing leaves it alone."""
    state = asked.values.flag("state")
    ban = await asked.use.bans.show(asked.values.needed_whole("id"))
    await asked.use.bans.set_permanent(str(ban.target), state is True, source=ban.source)
    return True


async def flush_all_bans(asked: Asked) -> Answer:
    """All that are not permanent."""
    await asked.use.bans.flush()
    return True


async def close_channels(asked: Asked) -> Answer:
    """Every call of the user's lines, through their exchanges."""
    lines = (
        [asked.line] if asked.line is not None else [each.login for each in await asked.use.accounts.lines(asked.who)]
    )
    for line in lines:
        closed = await asked.use.live_calls.hang_up_line(line)
        if closed.untold:
            raise Failure(Code.E_ASTERISK_QUERY_ERROR, f"{closed.untold} calls of {line} were not reached")
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getBans": get_bans,
    "flushBans": flush_bans,
    "banIP": ban_ip,
    "unbanIP": unban_ip,
    "updateBanPermanent": update_ban_permanent,
    "flushAllBans": flush_all_bans,
    "closeChannels": close_channels,
}


def _shown(ban: Ban, offset: int) -> dict[str, Any]:
    whole = ban.target.prefixlen == ban.target.max_prefixlen
    return {
        "reason": ban.reason,
        "source": ban.source,
        "id": str(ban.ban_id),
        "target": str(ban.target.network_address if whole else ban.target),
        "date": date(ban.created_at),
        "clientdate": date(ban.created_at, offset),
        "permanent": str(int(ban.permanent)),
    }
