"""The layers hold: what may import what is written in pyproject.toml, and nothing goes round it."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib

import pytest

from tests.architecture.source_tree import PACKAGES, PROJECT, python_files

CONTRACTS = (
    "layers",
    "services",
    "pure-core",
    "drivers-stay-in-storage",
    "surfaces-ask-services",
    "sans-io-protocols",
    "telemetry-stands-alone",
    "wiring-at-the-top",
    "importers-are-the-command-lines",
)


def run_import_linter(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command as c; c()"]
    return subprocess.run(
        [*command, "--no-cache", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )


def contract_ids() -> list[str]:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    return [contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]]


def test_every_import_contract_is_kept() -> None:
    done = run_import_linter()

    assert done.returncode == 0, done.stdout
    assert f"{len(contract_ids())} kept, 0 broken" in done.stdout


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_contracts_that_the_design_rests_on_are_there(contract: str) -> None:
    assert contract in contract_ids()


def test_nothing_private_of_a_library_is_imported_and_no_server_of_one_is_derived_from() -> None:
    """What has no promise of its maker changes with any release of his."""
    wrong = []
    for file in python_files(*PACKAGES):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        foreign = [node for node in imports if (node.module or "").partition(".")[0] not in (*PACKAGES, "__future__")]
        private = [name for node in foreign for name in _private_names(node)]
        of_servers = {
            name.asname or name.name for node in foreign if "uvicorn" in str(node.module) for name in node.names
        }
        bases = [ast.unparse(base) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases]
        derived = [base for base in bases if base in of_servers or base.startswith("uvicorn.")]
        wrong += [f"{file.relative_to(PROJECT)}: {name}" for name in (*private, *derived)]

    assert wrong == []


def _private_names(node: ast.ImportFrom) -> list[str]:
    names = [*str(node.module).split("."), *(name.name for name in node.names)]
    return [name for name in names if name.startswith("_")]
