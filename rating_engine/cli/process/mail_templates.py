"""`rating-engine mail-template`: mails that are sent again and again, as MOR's email_send sends them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.domain.mail_template import MailTemplate

mail_templates_app = typer.Typer(no_args_is_help=True, help="Mails from templates.")

Name = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its name.")]


@mail_templates_app.command(
    "set", epilog='Example: rating-engine mail-template set welcome --subject "Hello {first_name}"'
)
def set_(
    name: Name,
    subject: Annotated[str, typer.Option(help="One line; {words} are filled in.")],
    config: ConfigOption = None,
) -> None:
    """Keep a template, its text from standard input. {username}, {first_name}, {last_name}: of whom it goes to."""
    with reported_errors():
        template = MailTemplate(name, subject, sys.stdin.read())
    with_services(config, lambda services: services.mail_templates.put(template))
    say(f"{name} is kept")


@mail_templates_app.command(epilog="Example: rating-engine mail-template show welcome")
def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """A template."""
    template = with_services(config, lambda services: services.mail_templates.show(name))
    if json:
        print_json({"name": template.name, "subject": template.subject, "body": template.body})
        return
    say((f"{template.subject}\n", "bold"), template.body)


@mail_templates_app.command("list", epilog="Example: rating-engine mail-template list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """All of them."""
    templates = with_services(config, lambda services: services.mail_templates.page())
    if json:
        print_json({"templates": [{"name": each.name, "subject": each.subject} for each in templates]})
        return
    table = Table("template", "subject")
    for each in templates:
        table.add_row(each.name, each.subject)
    out.print(table)


@mail_templates_app.command(epilog="Example: rating-engine mail-template remove welcome")
def remove(name: Name, config: ConfigOption = None) -> None:
    """Take one away."""
    with_services(config, lambda services: services.mail_templates.remove(name))
    say(f"{name} is gone")
