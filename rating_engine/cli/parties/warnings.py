"""`rating-engine sound`: what callers hear where their balance is low; `user warning`: how a user is told of it."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.party import PartyChanges
from rating_engine.domain.warning_sound import WarningSound

sounds_app = typer.Typer(no_args_is_help=True, help="Sound files of the exchanges, for warnings of a low balance.")


@sounds_app.command(epilog="Example: rating-engine sound add custom/low-balance")
def add(
    file: Annotated[str, typer.Argument(metavar="FILE", help="As the exchange plays it, without its ending.")],
    config: ConfigOption = None,
) -> None:
    """Name a sound file, which every exchange has; users have it by its number."""
    with reported_errors():
        new = WarningSound(file)
    say(f"sound {with_services(config, lambda services: services.warning_sounds.add(new))}: {file}")


@sounds_app.command("list", epilog="Example: rating-engine sound list")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """The sounds, by their numbers."""
    page = with_services(config, lambda services: listed(services.warning_sounds.page, limit, after))
    if json:
        sounds = [{"sound": each.sound_id, "file": each.file} for each in page.items]
        print_json({"sounds": sounds, **next_json(page)})
        return
    for each in page.items:
        say(f"{each.sound_id}  {each.file}")
    say_next(page)


@sounds_app.command(epilog="Example: rating-engine sound remove 2")
def remove(sound: Annotated[int, typer.Argument(metavar="SOUND")], config: ConfigOption = None) -> None:
    """Forget a sound that no user has."""
    with_services(config, lambda services: services.warning_sounds.remove(sound))
    say(f"sound {sound} is gone")


def warning(
    user: Annotated[str, typer.Argument(metavar="USER")],
    hour: Annotated[
        str | None, typer.Option(metavar="0-23|none", help="By its clock, when its mail goes out; none: at once.")
    ] = None,
    sound: Annotated[
        str | None, typer.Option(metavar="SOUND|none", help="What its callers hear: a number of `sound list`.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """How a user is told that its balance is low (`user set --notify-balance`); with nothing given, it is shown."""
    with reported_errors():
        changes = PartyChanges(
            notify_hour=words.unless_none(hour, partial(words.whole, field="hour")),
            warn_sound=words.unless_none(sound, partial(words.whole, field="sound")),
        )
    party = with_services(config, lambda services: services.parties.change(user, changes))
    if json:
        print_json({"login": party.login, "hour": party.notify_hour, "sound": party.warn_sound})
        return
    when = "at once" if party.notify_hour is None else f"at {party.notify_hour:02}:00 of its clock"
    say(f"{party.login}: mail {when}, calls by sound {party.warn_sound or 'of the exchange'}")
