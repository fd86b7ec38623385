"""Who may do what with exchanges, phones and numbers, and with what is sent over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rating_engine.domain.party import Level
from rating_engine.domain.rights import Concern, Named, Otherwise, Right, line, party, reads, system, writes

_DID: Final = Concern(Named.NUMBER, "number")
_RULES: Final = Concern(Named.RULES, "number")
_SIMS: Final = Right("sims:write", Level.SIMPLE_USER, own=True)  # whose a card is, its service looks up

ACTIONS: Final[Mapping[str, Right]] = {
    "exchanges.add": system("exchanges"),
    "exchanges.show": system("exchanges", "read"),
    "exchanges.page": system("exchanges", "read"),
    "exchanges.change": system("exchanges"),
    "exchanges.render": system("exchanges"),
    "exchanges.give_role": system("exchanges"),
    "sip_accounts.create": writes("accounts", party("new.owner"), least=Level.SIMPLE_USER),
    "sip_accounts.show": reads("accounts", line()),
    "sip_accounts.of": reads("accounts", party()),
    "sip_accounts.pitch_of": reads("accounts", own=True),
    "sip_accounts.below": reads("accounts", own=True),
    "sip_accounts.mains": reads("accounts", least=Level.RESELLER, own=True),
    "sip_accounts.change": writes("accounts", line(), least=Level.SIMPLE_USER),
    "sip_accounts.delete": writes("accounts", line(), least=Level.SIMPLE_USER),
    "sip_accounts.numbered": reads("accounts", own=True),
    "sip_accounts.pin_is_taken": reads("accounts", least=Level.RESELLER, own=True),
    "sip_accounts.available": reads("accounts", own=True),
    "sip_accounts.next_of": reads("accounts", party()),
    "sip_accounts.reseal": system("accounts"),
    "known_callers.add": writes("accounts", line()),
    "known_callers.find": reads("accounts", own=True),
    "known_callers.remove": Right("accounts:write", Level.RESELLER, own=True),
    "known_callers.page": reads("accounts", party()),
    "disa.authorize": reads("accounts", own=True),
    "registrations.register": Right("users:write", Level.RESELLER, own=True),
    "exchange_queries.ask": Right("exchanges:write", Level.RESELLER, own=True),  # each query has a level of its own
    "exchange_files.update": system("exchanges"),
    "exchange_files.restore": system("exchanges"),
    "exchange_files.list": system("exchanges", "read"),
    "speech.say": Right("speech:write", Level.SIMPLE_USER, own=True),  # of which keys, it says itself
    "gsm.ask": Right("gsm:write", Level.ANYBODY, own=True),  # for which keys, the surface says
    "sim_cards.page": reads("sims", own=True),
    "sim_cards.of_asker": reads("users", own=True),
    "sim_cards.show": reads("sims", own=True),
    "sim_cards.add": system("sims"),
    "sim_cards.remove": system("sims"),
    "sim_cards.reseal": system("sims"),
    "sim_cards.bind": _SIMS,
    "sim_cards.unbind": _SIMS,
    "sim_cards.change": _SIMS,
    "sim_cards.notify": _SIMS,
    "dids.add": Right("dids:write", Level.RESELLER, (party("new.owner", otherwise=Otherwise.ALL),)),
    "dids.show": reads("dids", _DID),
    "dids.numbered": reads("dids", own=True),
    "dids.set_limit": writes("dids", _DID),
    "dids.assign": writes("dids", _DID, line("line")),
    "dids.unassign": writes("dids", _DID),
    "dids.page": reads("dids", own=True),
    "dids.change": writes("dids", replace(_DID, below=True), party("changes.owner")),
    "dids.set_state": writes("dids", _DID, least=Level.SIMPLE_USER),
    "dids.remove": writes("dids", _DID),
    "dids.renew": Right("dids:write", Level.RESELLER, (_DID,), money=True),
    "dids.order": Right("dids:write", Level.SIMPLE_USER, (party("owner"),), money=True),
    "dids.turn_rents": Right("dids:write", Level.ADMIN, money=True),
    "dids.converted": reads("dids", own=True),
    "dids.countries": reads("dids", own=True),
    "dids.areas": reads("dids", own=True),
    "dids.offered": reads("dids", own=True),
    "dids.access_numbers": reads("dids", own=True),
    "dids.count": reads("dids", own=True),
    "dids.set_inbound_price": system("tariffs"),
    "dids.inbound_prices": system("tariffs", "read"),
    "did_pools.add": system("dids"),
    "did_pools.show": system("dids", "read"),
    "did_pools.page": system("dids", "read"),
    "did_pools.change": system("dids"),
    "did_pools.remove": system("dids"),
    "number_stock.regions": reads("dids", own=True),
    "number_stock.kinds": reads("dids", own=True),
    "number_stock.free": reads("dids", party()),
    "call_rules.list": reads("dids", _RULES),
    "call_rules.find": reads("dids", own=True),
    "call_rules.add": writes("dids", _RULES, least=Level.SIMPLE_USER),
    "call_rules.change": writes("dids", _RULES, least=Level.SIMPLE_USER),
    "call_rules.step": writes("dids", _RULES, least=Level.SIMPLE_USER),
    "call_rules.remove": writes("dids", _RULES, least=Level.SIMPLE_USER),
    "call_rules.owner_line": reads("dids", _RULES),
    "call_rules.next": reads("dids", Concern(Named.RULES, "call.number")),
    "recordings.of": reads("calls", party()),
    "recordings.link": reads("calls", own=True),
    "messages.send": Right("messages:write", Level.SIMPLE_USER, (line("new.login"),)),
    "messages.quote": reads("messages", line("new.login")),
    "messages.carriers": system("messages", "read"),
    "messages.query": Right("messages:write", Level.SIMPLE_USER, (line(),)),
    "messages.show": reads("messages", own=True),  # whose it is, its service looks up
    "messages.page": reads("messages", party("wanted.owner")),
    "messages.count": reads("messages", party("owner")),
    "messages.read": Right("messages:write", Level.SIMPLE_USER, own=True),
    "messages.report": Right("messages:write", Level.ANYBODY, own=True),  # for which keys, the surface says
    "messages.set_report": Right("messages:write", Level.SIMPLE_USER, own=True),
    "sip_messages.send": Right("messages:write", Level.SIMPLE_USER, (line("new.login"),)),
    "voice_messages.send": Right("messages:write", Level.SIMPLE_USER, (line("new.login"),)),
    "incoming_messages.receive": Right("messages:write", Level.ANYBODY, own=True),  # as messages.report
    "callbacks.begin": Right("calls:write", Level.SIMPLE_USER, (line("new.login"),)),
    "callbacks.order": Right("calls:write", Level.SIMPLE_USER, (line("new.login"),)),
    "webhooks.add": Right("webhooks:write", Level.RESELLER, own=True),
    "webhooks.page": reads("webhooks", least=Level.RESELLER, own=True),
    "webhooks.every": system("webhooks", "read"),
    "webhooks.deliveries": reads("webhooks", least=Level.RESELLER, own=True),
    "webhooks.send_again": Right("webhooks:write", Level.RESELLER, own=True),
    "webhooks.rotate": Right("webhooks:write", Level.RESELLER, own=True),
    "webhooks.remove": Right("webhooks:write", Level.RESELLER, own=True),
}
