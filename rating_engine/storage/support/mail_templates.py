"""Templates of mails, by name."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.errors import NotFound
from rating_engine.domain.mail_template import MAX_TEMPLATES, MailTemplate
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_PUT: Final = """
    INSERT INTO mail_templates (name, subject, body) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET subject = EXCLUDED.subject, body = EXCLUDED.body"""


async def find_template(questions: Questions, name: str) -> MailTemplate:
    """Errors: NotFound, Unavailable."""
    row = await questions.fetchrow("SELECT name, subject, body FROM mail_templates WHERE name = $1", name)
    if row is None:
        raise NotFound(f"there is no mail template {name[:64]!r}", field="template")
    return MailTemplate(**row)


async def list_templates(questions: Questions) -> list[MailTemplate]:
    """By name. Errors: Unavailable."""
    rows = await questions.fetch("SELECT name, subject, body FROM mail_templates ORDER BY name LIMIT $1", MAX_TEMPLATES)
    return [MailTemplate(**row) for row in rows]


async def put_template(tx: Transaction, template: MailTemplate) -> None:
    """In place of the one before. Errors: Unavailable."""
    await tx.execute(_PUT, template.name, template.subject, template.body)


async def remove_template(tx: Transaction, name: str) -> None:
    """Errors: Unavailable."""
    await tx.execute("DELETE FROM mail_templates WHERE name = $1", name)
