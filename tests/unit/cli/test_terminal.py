"""What is printed: names are no markup, no emoji and no orders to the terminal; and a pipe has no edge."""

from __future__ import annotations

import io
import json

import pytest
from rich.table import Table
from rich.text import Text

from rating_engine.cli import terminal
from rating_engine.cli.terminal import PIPE_COLUMNS, Screen, harmless, styled


def printed(*what: object, **options: object) -> str:
    screen = Screen(file=io.StringIO(), **options)
    for each in what:
        screen.print(each)
    return screen.file.getvalue()


@pytest.mark.parametrize("name", ["[bold]x[/]", "[/]", "[link=http://x]y", ":smile:", "1001"])
def test_a_name_is_printed_as_it_is(name):
    table = Table("name", title=name)
    table.add_row(name)

    for text in (printed(name), printed(table), printed(styled("login ", (name, "bold")))):
        assert name in text


@pytest.mark.parametrize("order", ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r", "\x08", "\u202e", "\x7f"])
def test_an_order_to_the_terminal_is_shown_and_not_given(order, monkeypatch, capsys):
    table = Table("name", title=order)
    table.add_row(f"a{order}b")
    terminal.print_json({"name": order})
    raw = order[0]

    for text in (printed(f"a{order}b"), printed(table), printed(styled((order, "red"))), capsys.readouterr().out):
        assert raw not in text
    assert harmless(order).startswith("\\")


def test_json_is_the_same_value_again(capsys):
    value = {"name": "a\x1b[2J\x9b\u202e ключ"}

    terminal.print_json(value)

    assert json.loads(capsys.readouterr().out) == value


@pytest.mark.parametrize("columns", ["", "40"])
def test_a_table_in_a_pipe_is_lines_of_cells_cut_at_no_width(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    table = Table("name", "kind", title="names")
    table.add_row("x" * 300, Text("b"))
    table.add_row("", "tab\t and\nline")

    assert printed(table) == "names\nname\tkind\n" + "x" * 300 + "\tb\n" + "\ttab\\t and\\nline\n"
    assert Screen(file=io.StringIO()).width == PIPE_COLUMNS


def test_a_table_on_a_screen_has_its_frame():
    table = Table("name")
    table.add_row("1001")

    for screen in (Screen(file=io.StringIO(), width=40), Screen(file=io.StringIO(), force_terminal=True)):
        screen.print(table)
        assert "1001 \u2502" in screen.file.getvalue()
