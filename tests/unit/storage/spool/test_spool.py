"""The spool's files: what is acknowledged stays, what is damaged is kept aside, what is full says so."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rating_engine.storage.spool import spool_files
from rating_engine.storage.spool.spool import SpoolRefusal, SpoolStore, Window
from rating_engine.storage.spool.spool_files import SpoolFile
from rating_engine.storage.spool.spool_records import encode_record, scan
from rating_engine.storage.spool.spool_survey import SpoolSurvey, survey, unusable

ROOMY = 1_000_000
EVERYTHING = 1_000_000
TAKEN: list[SpoolRefusal | None] = [None]

# Appends records without end and says each one that is acknowledged.
WRITER = """
import itertools, sys
from pathlib import Path
from rating_engine.storage.spool.spool import SpoolStore
from rating_engine.storage.spool.spool_records import encode_record
store = SpoolStore(Path(sys.argv[1]), max_bytes=int(sys.argv[2]))
for number in itertools.count():
    lines = [encode_record(b'%d.%d' % (number, part)) for part in range(3)]
    print(number, store.append(lines) == [None] * 3, flush=True)
"""


def take(store: SpoolStore, looked_at: int, done: int) -> None:
    """Look at so many records, and be done with the first of them."""
    window = store.window(looked_at)
    assert window is not None
    store.done(window, window.records[:done])


def payloads(window: Window | None) -> list[bytes]:
    return [] if window is None else [record.payload for record in window.records]


def drained(store: SpoolStore) -> list[bytes]:
    """Every payload in order, each done with."""
    found: list[bytes] = []
    while (window := store.window(7)) is not None:
        found += payloads(window)
        store.done(window, window.records)
    return found


def append(store: SpoolStore, *wanted: bytes) -> None:
    assert store.append([encode_record(payload) for payload in wanted]) == TAKEN * len(wanted)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "spool"


@pytest.fixture
def stores(directory: Path) -> Iterator[Callable[..., SpoolStore]]:
    """Makes stores, as processes side by side; all are closed afterwards."""
    made: list[SpoolStore] = []

    def make(max_bytes: int = ROOMY) -> SpoolStore:
        made.append(SpoolStore(directory, max_bytes=max_bytes))
        return made[-1]

    yield make
    for store in made:
        store.close()


def adopted(stores: Callable[..., SpoolStore]) -> list[bytes]:
    """What the next process finds."""
    store = stores()
    store.adopt()
    return drained(store)


# --- one process


def test_records_come_back_in_the_order_they_were_written(stores):
    store = stores()
    append(store, b"1", b"2")
    append(store, b"3")

    assert drained(store) == [b"1", b"2", b"3"]


def test_records_stay_until_they_are_done_with(stores):
    store = stores()
    append(store, b"1", b"2", b"3")
    take(store, 2, 1)

    assert payloads(store.window(9)) == [b"2", b"3"]
    assert store.records == 2


def test_what_is_done_with_leaves_no_file(stores, directory):
    store = stores()
    append(store, b"1")
    drained(store)

    assert (list(directory.iterdir()), store.records, store.size) == ([], 0, 0)


def test_nothing_is_made_before_the_first_record(stores, directory):
    store = stores()
    assert store.adopt() == 0
    assert store.window(1) is None
    assert not directory.exists()


def test_records_written_while_others_are_read_follow_them(stores):
    store = stores()
    append(store, b"1", b"2")
    window = store.window(1)
    append(store, b"3")
    store.done(window, window.records[:1])

    assert drained(store) == [b"2", b"3"]


def test_only_their_owner_may_read_the_files(stores, directory):
    append(stores(), b"1")
    (file,) = directory.iterdir()

    assert (file.stat().st_mode & 0o777, directory.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_large_spool_is_cut_into_files_so_that_space_comes_back(stores, directory):
    store = stores(4_000)
    for number in range(50):
        append(store, b"%050d" % number)
    assert len(list(directory.glob("*.spool"))) > 2
    before = store.size
    window = store.window(EVERYTHING)
    store.done(window, window.records)

    assert store.size < before
    assert drained(store) == [b"%050d" % number for number in range(len(window.records), 50)]


# --- full, and other bad disks


def test_a_full_spool_refuses_and_takes_records_again_once_some_are_done_with(stores):
    store = stores(100)
    line = encode_record(b"x" * 30)
    assert store.append([line, line, line]) == [None, None, SpoolRefusal.FULL]
    assert store.append([line]) == [SpoolRefusal.FULL]
    assert len(drained(store)) == 2

    assert store.append([line]) == [None]


def test_adopted_files_count_as_space_used(stores):
    first = stores(100)
    append(first, b"x" * 60)
    first.close()
    second = stores(100)
    second.adopt()

    assert second.append([encode_record(b"x" * 60)]) == [SpoolRefusal.FULL]


def limited_to(file_bytes: int, directory: Path) -> subprocess.CompletedProcess[str]:
    """Appends by a process that may write no larger file: a write fails in the middle, as on a full disk."""
    script = WRITER + "\n    if number == 30: break"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    return subprocess.run(
        [sys.executable, "-c", script, str(directory), "1000000"],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_write_that_fails_in_the_middle_is_refused_whole_and_what_was_acknowledged_stays(stores, directory):
    said = limited_to(1_000, directory).stdout
    acknowledged = [int(line.split()[0]) for line in said.splitlines() if line.endswith("True")]
    refused = [line for line in said.splitlines() if line.endswith("False")]
    assert acknowledged
    assert refused

    assert adopted(stores) == [b"%d.%d" % (number, part) for number in acknowledged for part in range(3)]


def test_a_full_disk_refuses_and_loses_nothing(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system; the limit on file sizes is tested all the same")
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        store = SpoolStore(mount, max_bytes=ROOMY)
        line = encode_record(b"x" * 1_000)
        answers = [store.append([line])[0] for _ in range(100)]
        taken = answers.count(None)
        assert answers == [None] * taken + [SpoolRefusal.FULL] * (100 - taken)
        assert 0 < taken < 100
        assert len(drained(store)) == taken
        assert store.append([line]) == [None]
        store.close()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_directory_that_cannot_be_made_refuses(tmp_path):
    (tmp_path / "spool").write_text("a file in the way")

    assert SpoolStore(tmp_path / "spool", max_bytes=ROOMY).append([encode_record(b"1")]) == [SpoolRefusal.IO_ERROR]


def test_after_a_failed_fsync_nothing_is_acknowledged_into_that_file(stores, directory, monkeypatch):
    store = stores()
    append(store, b"1")
    with monkeypatch.context() as patched:
        patched.setattr(spool_files.os, "fdatasync", failing(errno.EIO))
        assert store.append([encode_record(b"2")]) == [SpoolRefusal.IO_ERROR]
    append(store, b"3")

    assert len(list(directory.glob("*.spool"))) == 2
    assert drained(store) == [b"1", b"3"]


def test_work_goes_on_where_its_mark_cannot_be_written(stores, monkeypatch):
    store = stores()
    append(store, b"1", b"2", b"3")
    monkeypatch.setattr(SpoolFile, "_write_done", failing(errno.ENOSPC))

    take(store, 1, 1)

    assert drained(store) == [b"2", b"3"]


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


# --- several processes


def test_a_file_in_use_is_left_alone(stores):
    first, second = stores(), stores()
    append(first, b"1")

    assert second.adopt() == 0
    assert drained(first) == [b"1"]


def test_files_of_the_dead_are_taken_over_oldest_first(stores):
    writers = [stores() for _ in range(3)]
    for number in (0, 1, 2):
        append(writers[number], b"%d" % number)
    survivor = stores()
    append(survivor, b"last")
    assert survivor.adopt() == 0  # all of them live
    for number in (2, 0, 1):
        writers[number].close()

    assert survivor.adopt() == 3
    assert drained(survivor) == [b"0", b"1", b"2", b"last"]


def test_of_two_adopters_one_gets_the_file(stores, directory):
    dead = stores()
    append(dead, b"1")
    dead.close()
    first, second = stores(), stores()

    assert (first.adopt(), second.adopt()) == (1, 0)


def test_a_file_taken_over_while_another_is_being_read_does_not_disturb_it(stores):
    older, reader = stores(), stores()
    append(older, b"1", b"2")
    append(reader, b"3", b"4")
    window = reader.window(1)
    older.close()
    reader.adopt()
    reader.done(window, window.records[:1])

    assert sorted(drained(reader)) == [b"1", b"2", b"4"]


def test_a_successor_goes_on_where_the_dead_process_was(stores, directory):
    dead = stores()
    append(dead, b"1", b"2", b"3")
    take(dead, 2, 2)
    dead.close()

    assert adopted(stores) == [b"3"]


@pytest.mark.parametrize("mark", [b"", b"garbage", encode_record(b"99999999999999999999"), encode_record(b"x")])
def test_a_successor_that_cannot_read_the_mark_does_everything_once_more(stores, directory, mark):
    dead = stores()
    append(dead, b"1", b"2")
    take(dead, 1, 1)
    dead.close()
    next(directory.glob("*.done")).write_bytes(mark)

    assert adopted(stores) == [b"1", b"2"]


def test_an_empty_file_of_a_dead_process_goes(stores, directory):
    directory.mkdir(parents=True)
    (directory / "00000000000000000001-1.spool").touch()

    assert adopted(stores) == []
    assert list(directory.iterdir()) == []


def test_a_mark_without_its_file_goes(stores, directory):
    directory.mkdir(parents=True)
    (directory / "00000000000000000001-1.done").touch()
    stores().adopt()

    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("kill_after", [1, 4, 25])
def test_every_record_acknowledged_before_kill_9_is_there_after_it(stores, directory, kill_after):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory), str(ROOMY)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(kill_after)]
        writer.kill()
        said += writer.stdout.read().splitlines(keepends=True)
    acknowledged = [int(line.split()[0]) for line in said if line.endswith("True\n")]
    assert len(acknowledged) >= kill_after

    found = adopted(stores)
    expected = [b"%d.%d" % (number, part) for number in acknowledged for part in range(3)]
    assert found[: len(expected)] == expected
    assert len(found) <= len(expected) + 3  # written, and killed before saying so


# --- damage


def damaged_file(directory: Path, data: bytes) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "00000000000000000001-1.spool"
    file.write_bytes(data)
    return file


def test_an_unfinished_last_record_is_cut_off(stores, directory):
    file = damaged_file(directory, encode_record(b"whole") + encode_record(b"unfinished")[:-4])
    store = stores()
    store.adopt()

    assert file.read_bytes() == encode_record(b"whole")
    assert drained(store) == [b"whole"]


def test_a_damaged_record_is_kept_aside_and_the_rest_is_handed_out(stores, directory):
    bad = encode_record(b"two").replace(b"two", b"TWO")
    file = damaged_file(directory, encode_record(b"one") + bad + encode_record(b"three"))
    heard: list[int] = []
    store = stores()
    store.adopt()

    assert payloads(store.window(9, on_damage=heard.append)) == [b"one", b"three"]
    assert heard == [1]
    assert file.with_suffix(".corrupt").read_bytes() == bad


def test_damage_is_kept_aside_once_however_often_it_is_met(stores, directory):
    bad = b"garbage\n"
    file = damaged_file(directory, bad + encode_record(b"one") + encode_record(b"two"))
    first = stores()
    first.adopt()
    take(first, 1, 1)
    first.close()

    assert adopted(stores) == [b"two"]
    assert file.with_suffix(".corrupt").read_bytes() == bad


def test_damage_that_cannot_be_kept_aside_stays_where_it_is_and_holds_nobody_up(stores, directory):
    file = damaged_file(directory, b"garbage\n" + encode_record(b"one"))
    file.with_suffix(".corrupt").mkdir()
    store = stores()
    store.adopt()
    append(store, b"two")

    assert drained(store) == [b"two"]
    assert file.exists()


def test_refused_records_are_kept_and_can_be_sent_again_by_a_rename(stores, directory):
    store = stores()
    append(store, b"1", b"2")
    window = store.window(2)
    store.keep_refused(window, [b"1 because"])
    store.done(window, window.records[:2])
    (refused,) = directory.iterdir()
    assert refused.suffix == ".refused"
    refused.rename(refused.with_suffix(".spool"))

    assert adopted(stores) == [b"1 because"]


# --- seen from outside


def test_a_survey_counts_what_waits_and_whose_it_is(stores, directory):
    living, dead = stores(), stores()
    append(living, b"1", b"2", b"3")
    append(dead, b"4")
    take(living, 1, 1)
    dead.close()
    (directory / "x.refused").write_bytes(encode_record(b"5") * 2)
    (directory / "x.corrupt").write_bytes(b"abc")

    assert survey(directory) == SpoolSurvey(
        waiting=3,
        waiting_bytes=4 * len(encode_record(b"1")),
        orphaned=1,
        refused=((directory / "x.refused", 2),),
        corrupt=((directory / "x.corrupt", 3),),
    )


def test_a_survey_disturbs_nobody(stores, directory):
    store = stores()
    append(store, b"1")
    survey(directory)

    assert drained(store) == [b"1"]


def test_a_survey_of_no_directory_finds_nothing(directory):
    assert survey(directory) == SpoolSurvey()


def test_a_directory_that_could_be_made_is_usable(directory):
    assert unusable(directory) is None


def test_a_file_in_the_way_is_not_usable(tmp_path):
    (tmp_path / "spool").touch()

    assert unusable(tmp_path / "spool") == f"{tmp_path / 'spool'} is not a directory"


def test_a_record_cannot_have_a_line_break():
    with pytest.raises(ValueError, match="line break"):
        encode_record(b"a\nb")


def test_a_length_that_is_no_number_is_damage():
    assert scan(b"+0000001 00000000 x\n").records == []
