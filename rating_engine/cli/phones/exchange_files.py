"""`rating-engine exchange files|update|restore`: the dialplans of Asterisk servers, version by version."""

from __future__ import annotations

from typing import Annotated

from rich.table import Table
from typer import Argument, Option

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.domain.exchange_file import FileKind

Name = Annotated[str, Argument(metavar="EXCHANGE", help="By name, address, DNS name or realm.")]
Kind = Annotated[str, Option("--kind", help="dialplan (rating.conf) or interface (rating-interface.conf).")]


def files(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """The versions that are kept of an Asterisk server's dialplan."""
    kept = with_services(config, lambda services: services.exchange_files.list(name))
    if json:
        shown = [
            {
                "id": each.file_id, "kind": each.kind, "version": each.version, "sha256": each.sha256, "url": each.url,
                "in_place": each.is_current, "created_at": each.created_at.isoformat(),
            }
            for each in kept
        ]  # fmt: skip
        print_json({"files": shown})
        return
    table = Table("file", "version", "in place", "fetched", "from", "sha256")
    for each in kept:
        table.add_row(
            each.kind.file_name, each.version, "yes" if each.is_current else "",
            each.created_at.strftime("%Y-%m-%d %H:%M:%SZ"), each.url or "found there", each.sha256[:16],
        )  # fmt: skip
    out.print(table)


def update(
    name: Name,
    url: Annotated[str, Argument(help="https, of a host in exchange_file_hosts; #sha256=... behind it is compared.")],
    kind: Kind = "dialplan",
    config: ConfigOption = None,
) -> None:
    """Fetch a dialplan, put it into place and have the Asterisk server load it."""
    with reported_errors():
        wanted = words.choice(FileKind, kind, "kind")
    put = with_services(config, lambda services: services.exchange_files.update(name, wanted, url))
    say(f"{put.exchange}: {put.kind.file_name} is version {put.version}")


def restore(name: Name, kind: Kind = "dialplan", config: ConfigOption = None) -> None:
    """Put back the dialplan that stood there before the present one."""
    with reported_errors():
        wanted = words.choice(FileKind, kind, "kind")
    put = with_services(config, lambda services: services.exchange_files.restore(name, wanted))
    say(f"{put.exchange}: {put.kind.file_name} is version {put.version} again")
