"""Asterisk's files are read with what they include, where Asterisk looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.cli.process import asterisk_files
from rating_engine.cli.process.asterisk_files import read_whole


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "asterisk.conf").touch()
    (tmp_path / "rating.conf").write_text("[rated]\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "2.conf").write_text("[second]\n#include rating.conf\n")
    (tmp_path / "d" / "1.conf").write_text("[first]")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("#include rating.conf", "[rated]"),
        ('  #include "rating.conf"  ; ours', "[rated]"),
        ("#include <rating.conf>", "[rated]"),
        ("# include rating.conf", "# include rating.conf"),
        ("#tryinclude rating.conf", "[rated]"),
        ("#include d/[12].conf", "[first]\n[second]\n[rated]"),
        ("#tryinclude nowhere.conf", ""),
        ("#include nowhere.conf", "#include nowhere.conf"),
        ("#include none/*.conf", "#include none/*.conf"),
        ("#include d", "#include d"),  # a directory
        (";#include rating.conf", ";#include rating.conf"),
        ("include => rating.conf", "include => rating.conf"),
        (";-- not now\n#include rating.conf\n--;[own]", "[own]"),
    ],
)
def test_an_include_stands_for_its_file(etc: Path, line: str, read: str) -> None:
    file = etc / "d" / "extensions.conf"  # names begin in Asterisk's directory, not in the file's
    file.write_text(line + "\n")
    assert read_whole(file) == read


def test_an_absolute_name_is_taken_as_it_is(etc: Path, tmp_path: Path) -> None:
    (etc / "extensions.conf").write_text(f"#include {tmp_path}/rat*.conf\n")
    assert read_whole(etc / "extensions.conf") == "[rated]"


def test_files_that_include_each_other_come_to_an_end(etc: Path) -> None:
    (etc / "a.conf").write_text("[a]\n#include b.conf\n")
    (etc / "b.conf").write_text("[b]\n#include a.conf\n")
    assert read_whole(etc / "a.conf").endswith("#include b.conf")


def test_more_than_anybody_has_is_refused(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asterisk_files, "MAX_CHARACTERS", 10)
    (etc / "extensions.conf").write_text("#include rating.conf\n")
    with pytest.raises(ValueError, match="more than 10 characters"):
        read_whole(etc / "extensions.conf")
