"""The build of Asterisk keeps whole builds and nothing else. Its tools are stand-ins here: this is about the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.asterisk import build

TOOLS = {
    # the target is the last argument but one, as in `debootstrap ... sid DIR MIRROR`
    "debootstrap": """
        for argument; do target=$last; last=$argument; done
        mkdir -p "$target/usr/sbin"; touch "$target/usr/sbin/asterisk"
        echo "$last" >> "$TOOLS/mirrors"
        echo "I: Retrieving asterisk"; echo "E: $FAIL"; test -z "$FAIL"
    """,
    "chroot": "echo Asterisk 22",
    "apt-get": "echo https://mirror.example/debian/ bookworm main",
    "unshare": "exit 1",
}


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in TOOLS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TOOLS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ASTERISK_ROOT", raising=False)
    monkeypatch.delenv("FAIL", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def kept(tools: Path) -> list[str]:
    return sorted(path.name for path in (tools / "cache/rating-engine/asterisk").iterdir() if path.is_dir())


def mirrors(tools: Path) -> list[str]:
    """Where each run of debootstrap took its packages from."""
    return (tools / "mirrors").read_text().split()


def test_a_finished_build_is_kept_and_not_built_again(tools: Path) -> None:
    root = build.asterisk_root()
    assert (root / "usr/sbin/asterisk").exists()
    assert build.asterisk_root() == root
    assert mirrors(tools) == ["https://mirror.example/debian/"]
    assert kept(tools) == [root.name]


def test_a_failed_build_leaves_nothing_and_says_why(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "the mirror is gone")
    with pytest.raises(build.Unbuildable, match="the mirror is gone"):
        build.asterisk_root()
    assert kept(tools) == []


def test_what_a_killed_build_left_is_removed_by_the_next(tools: Path) -> None:
    left = tools / "cache/rating-engine/asterisk/building-x1"
    (left / "usr").mkdir(parents=True)
    root = build.asterisk_root()
    assert kept(tools) == [root.name]


def test_without_root_it_says_that_root_is_missing(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(build.Unbuildable, match="root"):
        build.asterisk_root()


def test_a_root_that_is_given_is_used_as_it_is(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tools / "given/usr/sbin").mkdir(parents=True)
    (tools / "given/usr/sbin/asterisk").touch()
    monkeypatch.setenv("ASTERISK_ROOT", str(tools / "given"))
    assert build.asterisk_root() == tools / "given"


def test_a_machine_whose_sources_name_no_debian_mirror_is_told_so(tools: Path) -> None:
    (tools / "apt-get").write_text("#!/bin/sh\necho https://mirror.example/ubuntu/ noble main\n")
    with pytest.raises(build.Unbuildable, match="no Debian mirror"):
        build.asterisk_root()


def test_a_mirror_that_stands_in_a_file_is_found_there(tools: Path) -> None:
    (tools / "debian.list").write_text("https://near.example/debian\tpriority:1\n")
    (tools / "apt-get").write_text(f"#!/bin/sh\necho mirror+file:{tools}/debian.list bookworm main\n")
    build.asterisk_root()
    assert mirrors(tools) == ["https://near.example/debian"]
