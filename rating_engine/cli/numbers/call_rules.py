"""`rating-engine did-rule`: what happens to calls of a number or a line, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import time
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.domain.call_rules import (
    Action,
    CallRule,
    Condition,
    Finished,
    InboundCall,
    Policy,
    RuleTime,
    Source,
)
from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.did import RuleChanges
from rating_engine.domain.errors import InvalidRequest

rules_app = typer.Typer(no_args_is_help=True, help="Rules of numbers and lines: what happens to calls that come in.")

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="Digits, the country first; of a line line:LOGIN.")]
Place = Annotated[int, typer.Argument(metavar="RULE", help="Its place, from 1.")]
ActionOption = Annotated[str | None, typer.Option("--action", help=", ".join(Action))]
Destination = Annotated[
    str | None, typer.Option("--destination", help="A line, a number, a sound file, a mailbox or a hangup cause.")
]
Pattern = Annotated[str | None, typer.Option("--from", metavar="PATTERN", help="Callers: 49%, % (all), anonymous.")]
ConditionOption = Annotated[
    str | None, typer.Option("--after", metavar="CONDITION", help="BUSY, NOANSWER, UNAVAIL, UNSUCCESS, SUCCESS, INPUT.")
]
Input = Annotated[str | None, typer.Option("--input", metavar="KEYS", help="With --after INPUT: what was keyed in.")]
PolicyOption = Annotated[str | None, typer.Option("--policy", help="ACCEPT or REJECT.")]
Callerid = Annotated[str | None, typer.Option("--callerid", metavar="NUMBER", help="Shown; TRANSIT: as it came.")]
Timeout = Annotated[str | None, typer.Option("--timeout", metavar="SECONDS", help="How long it rings.")]
When = Annotated[
    list[str] | None,
    typer.Option("--when", metavar='"DAYS FROM-TO"', help='As "mon-fri 09:00-18:00"; may be repeated; none: always.'),
]
Zone = Annotated[str | None, typer.Option("--time-zone", help="Of --when, as Europe/Berlin; none: the owner's.")]
Music = Annotated[str | None, typer.Option("--music", metavar="CLASS", help="Heard while it rings; none: ringing.")]
Record = Annotated[str | None, typer.Option("--record", metavar="yes|no", help="Whether the conversation is kept.")]
Description = Annotated[str | None, typer.Option("--description", help="For people.")]


@rules_app.command(epilog="Example: rating-engine did-rule add 4930123456 --action forward --destination 4915112345678")
def add(
    number: Number,
    action: ActionOption = None,
    destination: Destination = None,
    pattern: Pattern = None,
    condition: ConditionOption = None,
    keyed: Input = None,
    policy: PolicyOption = None,
    callerid: Callerid = None,
    timeout: Timeout = None,
    when: When = None,
    zone: Zone = None,
    music: Music = None,
    record: Record = None,
    description: Description = None,
    first: Annotated[bool, typer.Option("--first", help="Before all others; behind them if not given.")] = False,
    config: ConfigOption = None,
) -> None:
    """Add a rule; it counts from the next call on."""
    with reported_errors():
        changes = _changes(action, destination, pattern, condition, keyed, policy, callerid, timeout, when)
        changes = replace(changes, **_extras(zone, music, record, description))
        rule = CallRule(**given(changes))
    with_services(config, lambda services: services.call_rules.add(number, rule, first=first))
    say(f"rule added to {number}")


@rules_app.command("set", epilog='Example: rating-engine did-rule set 4930123456 1 --when "mon-fri 09:00-18:00"')
def set_(
    number: Number,
    rule: Place,
    action: ActionOption = None,
    destination: Destination = None,
    pattern: Pattern = None,
    condition: ConditionOption = None,
    keyed: Input = None,
    policy: PolicyOption = None,
    callerid: Callerid = None,
    timeout: Timeout = None,
    when: When = None,
    zone: Zone = None,
    music: Music = None,
    record: Record = None,
    description: Description = None,
    to: Annotated[int | None, typer.Option("--to", metavar="PLACE", help="Its new place.")] = None,
    config: ConfigOption = None,
) -> None:
    """Change what is given of a rule, and nothing else."""
    with reported_errors():
        changes = _changes(action, destination, pattern, condition, keyed, policy, callerid, timeout, when)
        changes = replace(changes, **_extras(zone, music, record, description))
    with_services(config, lambda services: services.call_rules.change(number, rule, changes, to=to))
    say(f"rule {rule} of {number} set")


@rules_app.command("list", epilog="Example: rating-engine did-rule list 4930123456")
def list_(number: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """The rules of a number in their order."""
    rules = with_services(config, lambda services: services.call_rules.list(number))
    if json:
        print_json({"rules": [rule_json(place, rule) for place, rule in enumerate(rules, 1)]})
        return
    table = Table("rule", "when", "after", "from", "policy", "action", "destination", "rings")
    for place, rule in enumerate(rules, 1):
        source = rule.pattern if rule.source is Source.NUMBER else f"keyed in {rule.pattern}"
        after = f"{rule.condition} {rule.input}".strip()
        table.add_row(
            str(place), times_text(rule.times), after, source, rule.policy, rule.action, rule.destination,
            f"{rule.timeout} s",
        )  # fmt: skip
    out.print(table)


@rules_app.command(epilog="Example: rating-engine did-rule remove 4930123456 1")
def remove(number: Number, rule: Place, config: ConfigOption = None) -> None:
    """Remove a rule; those behind it move up."""
    with_services(config, lambda services: services.call_rules.remove(number, rule))
    say(f"rule {rule} of {number} removed")


@rules_app.command("try", epilog="Example: rating-engine did-rule try 4930123456 --caller 4915112345678")
def try_(
    number: Number,
    caller: Annotated[str, typer.Option("--caller", metavar="NUMBER", help="Who calls; nobody known if empty.")] = "",
    place: Annotated[int, typer.Option("--rule", metavar="PLACE", help="Where to go on.")] = 1,
    ended: Annotated[str, typer.Option("--ended", metavar="WORD", help="How the step before ended: BUSY …")] = "",
    keyed: Annotated[str, typer.Option("--input", metavar="KEYS", help="What was keyed in.")] = "",
    config: ConfigOption = None,
) -> None:
    """What would be done with a call now."""
    call = InboundCall(number, place, caller, ended, keyed)
    found = with_services(config, lambda services: services.call_rules.next(call))
    if isinstance(found, Finished):
        say("no rule is left: the call ends")
    else:
        say(f"rule {found.place} of {found.number}: {found.rule.policy} {found.rule.action} {found.rule.destination}")


def read_times(texts: Sequence[str]) -> tuple[RuleTime, ...]:
    """`mon-fri 09:00-18:00`; `none` alone: always. Raises InvalidRequest."""
    if list(texts) == [words.NONE]:
        return ()
    return tuple(_time(text) for text in texts)


def times_text(times: Sequence[RuleTime]) -> str:
    """As `read_times` takes them."""
    return ", ".join(
        f"{DAYS[each.first_day - 1]}-{DAYS[each.last_day - 1]} {each.starts:%H:%M}-{each.ends:%H:%M}" for each in times
    )


def rule_json(place: int, rule: CallRule) -> dict[str, Any]:
    """As machines read it."""
    names = ("source", "pattern", "condition", "input", "policy", "action", "destination", "exchange", "callerid")
    return {
        "rule": place,
        **{name: getattr(rule, name) for name in names},
        "timeout": rule.timeout,
        "when": times_text(rule.times),
        **{name: getattr(rule, name) for name in ("time_zone", "music", "record", "description")},
    }


def _time(text: str) -> RuleTime:
    days, _, hours = text.strip().partition(" ")
    first, _, last = days.partition("-")
    starts, dash, ends = hours.strip().partition("-")
    if first not in DAYS or (last or first) not in DAYS or not dash:
        raise InvalidRequest("when", f"{text[:40]!r} is not like mon-fri 09:00-18:00")
    minutes = [words.clock(each, "when") % 1440 for each in (starts, ends)]
    return RuleTime(
        DAYS.index(first) + 1, DAYS.index(last or first) + 1, *(time(each // 60, each % 60) for each in minutes)
    )


def _extras(zone: str | None, music: str | None, record: str | None, description: str | None) -> dict[str, Any]:
    def none_is_empty(text: str) -> str:
        return "" if text == words.NONE else text

    return {
        "time_zone": words.if_given(zone, none_is_empty),
        "music": words.if_given(music, none_is_empty),
        "record": words.if_given(record, lambda text: words.yes_or_no(text, "record")),
        "description": words.if_given(description, none_is_empty),
    }


def _changes(
    action: str | None,
    destination: str | None,
    pattern: str | None,
    condition: str | None,
    keyed: str | None,
    policy: str | None,
    callerid: str | None,
    timeout: str | None,
    when: Sequence[str] | None,
) -> RuleChanges:
    return RuleChanges(
        action=words.if_given(action, lambda text: words.choice(Action, text, "action")),
        destination=words.if_given(destination, str),
        pattern=words.if_given(pattern, str),
        condition=words.if_given(condition, lambda text: words.choice(Condition, text, "condition")),
        input=words.if_given(keyed, str),
        policy=words.if_given(policy, lambda text: words.choice(Policy, text, "policy")),
        callerid=words.if_given(callerid, str),
        timeout=words.if_given(timeout, lambda text: words.whole(text, "timeout")),
        times=read_times(when) if when else LEAVE,
    )
