"""What the documents tell people to type exists, and where they point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rating_engine.settings.model import Settings
from tests.support.command_lines import command_of

PROJECT = Path(__file__).parents[2]
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("benchmarks/*.md")])
NAMES = [str(document.relative_to(PROJECT)) for document in DOCUMENTS]

_FENCE = re.compile(r"^( *)```.*?\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(rating-engine [a-z][^`]*)`")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
WHOLE = ("serve", "demo", "migrate", "doctor")  # commands that need no arguments
_PLACEHOLDERS = {"FILE", "N", "…", "..."}


def typed(document: Path) -> list[str]:
    """The command lines of a document, in blocks and in sentences."""
    text = document.read_text(encoding="utf-8")
    lines = [line.strip() for _, block in _FENCE.findall(text) for line in block.splitlines()]
    lines = [line.removeprefix("$ ") for line in lines]
    found = [line for line in lines if re.match(r"(?:RATING_\w+=\S+ )*rating-engine [a-z]", line)]
    return found + [line for line in _INLINE.findall(_FENCE.sub("", text)) if not _PLACEHOLDERS & set(line.split())]


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_command_line_of_a_document_is_one_that_the_program_takes(document):
    for line in typed(document):
        is_a_mention = len(line.split()) == 2 and line.split()[1] not in WHOLE  # as in "`rating-engine account`"
        assert is_a_mention or command_of(line)


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_link_to_a_file_has_its_file(document):
    prose = _FENCE.sub("", document.read_text(encoding="utf-8"))
    links = [link for link in _LINK.findall(prose) if "://" not in link]

    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_documents_do_show_commands():
    assert {command_of(line) for line in typed(PROJECT / "README.md")} >= {"serve", "rates import", "account create"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_setting_that_is_exported_exists(document):
    exported = re.findall(r"export (RATING_[A-Z_]+)=", document.read_text(encoding="utf-8"))
    keys = [name.removeprefix("RATING_").lower() for name in exported]

    assert [key for key in keys if key not in Settings.model_fields] == []
