"""What storage says to the database, held against what a cluster can take (tests/cluster has the schema's part)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source_tree import PROJECT, python_files
from tests.cluster.cluster_form import SCOPED, tables_of

STORAGE = "rating_engine/storage"
MONEY = re.compile(
    r"\b(?:reserve|extend|settle|reserve_and_settle|expire|post_entry|adjust|set_balance|switch_tariff|correct_calls|create_account|"
    r"close_account|subscribe|charge_subscription|end_subscription|send_transfer|receive_transfer|finish_transfer|"
    r"confirm_payment|set_credit_note|send_message|end_message)\w*_v\d+\b"
)
# An account is made while its tariff and its owner, of the catalogue, are held as they are; many, all or none.
MADE_IN_A_TRANSACTION = {"_CREATE"}
# Handed whole to the node of its bucket: a call alone, the bucket first.
CALL = re.compile(r"SELECT \w+\(\$1(?:, \$\d+(?:::\w+(?:\[\])?)?)*\)")
# What callers wait for; its tables are looked up by bucket each. The rest reads all buckets, for people and the doctor.
HOT = {
    "calls/ledger.py": {"_FIND"},
    "calls/locked_accounts.py": {"_THERE", "_FREE"},
    "calls/open_calls.py": {"_OF_CHANNELS", "_EXPIRED", "_NOTE_SEEN"},
    "parties/subscribers.py": {"BY_LOGINS"},
}


def constants(file: Path) -> dict[str, str]:
    """The texts that a module gives names to; what is put into one of them is put in."""
    found: dict[str, str] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            text = text_of(node.value, found)
            if text is not None:
                found[node.target.id] = text
    return found


def text_of(node: ast.expr, known: dict[str, str]) -> str | None:
    """A literal text, f-strings with what is known put in and a question mark for the rest."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [text_of(value, known) or "" for value in node.values]
        return "".join(parts)
    if isinstance(node, ast.FormattedValue):
        return known.get(node.value.id, "?") if isinstance(node.value, ast.Name) else "?"
    return None


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """Every text of a file but its docstrings, with its line."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    known = constants(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in words | inner:
            text = text_of(node, known)
            if text is not None:
                yield node.lineno, text


def test_a_money_function_is_called_alone_with_the_bucket_first():
    """In FROM, or beside a table, a cluster would not hand the call on."""
    wrong = [
        f"{file.relative_to(PROJECT)}:{line}: {' '.join(text.split())}"
        for file in python_files(STORAGE)
        for line, text in texts(file)
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", text)
        and (MONEY.search(text) or re.search(r"\?\w*_v\d+\(", text))
        and not CALL.fullmatch(" ".join(text.replace("?", "name").split()))
    ]

    assert wrong == []


def test_money_is_asked_outside_of_transaction_blocks():
    """Inside of one a cluster works through the function from afar, statement by statement.

    Nor does anything that is handed a transaction ask for money: its audit row is written by the function itself.
    """
    wrong = []
    for file in python_files(STORAGE):
        names = {name for name, text in constants(file).items() if MONEY.search(text)}
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if is_in_transaction(node):
                said = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
                said |= {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
                asked = {word for word in said if word in names or (isinstance(word, str) and MONEY.search(word))}
                asked -= MADE_IN_A_TRANSACTION
                wrong += [f"{file.relative_to(PROJECT)}:{node.lineno}: {word}" for word in sorted(asked)]

    assert wrong == []


def is_in_transaction(node: ast.AST) -> bool:
    """Whether what stands in it is done within a transaction: a block of one, or a function that is handed one."""
    if isinstance(node, ast.AsyncWith):
        return any("transaction(" in ast.unparse(item) for item in node.items)
    if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
        return any(a.annotation is not None and "Transaction" in ast.unparse(a.annotation) for a in node.args.args)
    return False


def test_hot_statements_name_the_bucket_of_every_table():
    """`= $n`, or equal to what has it: without, every node is asked."""
    scoped = "|".join(tables_of(SCOPED))
    for name, wanted in HOT.items():
        found = constants(PROJECT / STORAGE / name)
        assert wanted <= found.keys(), f"{name}: {wanted - found.keys()} are gone; name what has their place"
        for statement in wanted:
            text = found[statement]
            tables = re.findall(rf"\b(?:FROM|JOIN|UPDATE|INTO) (?:{scoped})\b", text)
            buckets = re.findall(r"\bbucket = (?:\$\d+|\w+\.bucket)", text)
            assert len(buckets) >= len(tables), f"{name} {statement}: {len(tables)} tables, {len(buckets)} buckets"
            assert tables, f"{name} {statement} asks no account-scoped table"


def test_no_hot_statement_goes_by_the_views_for_people():
    for name, wanted in HOT.items():
        found = constants(PROJECT / STORAGE / name)
        assert [s for s in wanted if re.search(r"\b(?:FROM|JOIN) (?:cdrs|reservations)\b", found[s])] == []
