"""The layers hold: what may import what is written in pyproject.toml, and nothing goes round it."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.architecture.source_tree import PROJECT

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
