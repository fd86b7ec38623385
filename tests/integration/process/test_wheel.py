"""What a user installs has all that a checkout has: the schema, the migrations, the command."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.commands import environment

PROJECT = Path(__file__).parents[3]
BUILD_SECONDS = 120


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, as an installation lays them out. Built without the network."""
    wheels = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    done = subprocess.run(build, cwd=PROJECT, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    place = tmp_path_factory.mktemp("site-packages")
    [wheel] = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    return place


def test_the_schema_is_packaged_as_it_is(installed):
    assert (installed / "rating_engine" / "schema.sql").read_bytes() == (PROJECT / "schema.sql").read_bytes()


def test_every_module_and_data_file_is_packaged_and_nothing_else(installed):
    tracked = subprocess.run(
        ["git", "ls-files", "rating_engine", "agi"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    packaged = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}

    assert set(tracked) <= packaged
    tops = {name.split("/")[0] for name in packaged}
    assert tops == {"rating_engine", "agi", next(top for top in tops if top.endswith(".dist-info"))}


def test_the_schema_is_found_where_it_is_installed(installed):
    script = (
        "import rating_engine.storage.postgres.release as m, sys;"
        "sys.stdout.write(m.__file__ + chr(10) + m.schema_sql());"
        "assert m.shipped().version >= 1"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment() | {"PYTHONPATH": str(installed)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    module, _, schema = done.stdout.partition("\n")
    assert done.returncode == 0, done.stderr
    assert Path(module).is_relative_to(installed)
    assert schema == (PROJECT / "schema.sql").read_text(encoding="utf-8")
