"""What a process was asked and nobody was told outlives its being killed, and is taken over once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from rating_engine.domain.outcomes import CallKey, Claim
from rating_engine.storage.spool.unheard import PLACES, UnheardFile


def claim(number: int, uniqueid: str = "") -> Claim:
    return Claim(CallKey("pbx", uniqueid or str(number), 1), 0, 70, number)


def test_a_living_process_keeps_its_claims_and_what_was_told_is_gone(tmp_path):
    living, other = UnheardFile(tmp_path), UnheardFile(tmp_path)
    places = [living.note(claim(number)) for number in range(3)]
    assert other.adopt() == []
    assert places[1] is not None
    living.clear(places[1])
    living.close()

    assert list(other.adopt()) == [claim(0), claim(2)]
    assert other.adopt() == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_told_everything_leaves_nothing(tmp_path):
    book = UnheardFile(tmp_path)
    place = book.note(claim(1))
    assert place is not None
    book.clear(place)
    book.close()

    assert list(tmp_path.iterdir()) == []
    assert book.note(claim(2)) is None


def test_what_a_killed_process_left_is_found(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from rating_engine.storage.spool.unheard import UnheardFile\n"
        "from rating_engine.domain.outcomes import CallKey, Claim\n"
        "book = UnheardFile(Path(sys.argv[1]))\n"
        "book.note(Claim(CallKey('pbx', '1', 1), 0, 70, 2**62))\n"
        "print('noted', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"noted\n"
    assert UnheardFile(tmp_path).adopt() == []
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    assert list(UnheardFile(tmp_path).adopt()) == [Claim(CallKey("pbx", "1", 1), 0, 70, 2**62)]


def test_more_than_there_is_room_for_is_not_noted_and_room_comes_back(tmp_path):
    book = UnheardFile(tmp_path)
    places = [book.note(claim(number)) for number in range(PLACES)]
    assert None not in places
    assert book.note(claim(-1)) is None
    assert places[7] is not None
    book.clear(places[7])
    assert book.note(claim(-2)) == places[7]
    book.close()


def test_a_claim_that_is_too_long_or_no_text_is_not_noted(tmp_path):
    book = UnheardFile(tmp_path)
    assert book.note(claim(1, uniqueid="\U0001f4de" * 150)) is None
    assert book.note(claim(1, uniqueid="\ud800")) is None
    assert book.note(claim(1, uniqueid="1" * 190)) is not None
    book.close()


def test_a_directory_that_cannot_be_had_is_done_without(tmp_path: Path):
    (tmp_path / "file").touch()
    book = UnheardFile(tmp_path / "file")
    assert book.note(claim(1)) is None
    assert book.note(claim(2)) is None
    book.close()


def test_no_claim_is_lost_to_a_process_that_starts_while_the_file_is_made(tmp_path):
    """What is made and not locked yet looks like a dead process's, and is removed by who adopts it."""
    book, other, wanted = UnheardFile(tmp_path), UnheardFile(tmp_path), ["fcntl.flock"]

    def adopt_before_the_first_lock(event: str, arguments: tuple[object, ...]) -> None:
        if event in wanted:
            wanted.clear()
            assert other.adopt() == []

    sys.addaudithook(adopt_before_the_first_lock)  # for good, but for one event alone
    assert book.note(claim(1)) is not None
    assert wanted == []
    book.close()

    assert list(other.adopt()) == [claim(1)]


def test_damage_costs_the_claim_that_it_hits(tmp_path):
    book = UnheardFile(tmp_path)
    for number in range(3):
        book.note(claim(number))
    book.close()
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[512 + 30] ^= 0xFF
    path.write_bytes(data)

    assert list(UnheardFile(tmp_path).adopt()) == [claim(0), claim(2)]
