"""Records that are passed over stay; what is behind them is dealt with, in this file and in those after it."""

from __future__ import annotations

from rating_engine.storage.spool.spool import SpoolStore
from rating_engine.storage.spool.spool_records import encode_record


def test_records_are_done_with_in_any_order_and_what_is_left_is_read_again_by_the_next_process(tmp_path):
    dead = SpoolStore(tmp_path, max_bytes=1_000_000)
    dead.append([encode_record(b"%d" % number) for number in range(4)])
    window = dead.window(4)
    assert window is not None
    dead.done(window, [window.records[1], window.records[3]])
    left = dead.window(4)
    assert left is not None
    assert [record.payload for record in left.records] == [b"0", b"2"]
    passed_over = frozenset({left.place(left.records[0])})
    assert [record.payload for record in dead.window(4, passed_over).records] == [b"2"]
    dead.done(left, [left.records[0]])
    dead.close()

    living = SpoolStore(tmp_path, max_bytes=1_000_000)
    living.adopt()
    assert [record.payload for record in living.window(4).records] == [b"2", b"3"]  # 3 once more, which is harmless


def test_a_file_whose_first_record_is_passed_over_keeps_no_other_file_waiting(tmp_path):
    store = SpoolStore(tmp_path, max_bytes=1_000_000)
    places = set()
    for number in range(3):
        store.append([encode_record(b"%d" % number)])
        window = store.window(1, frozenset(places))  # seals the file
        assert window is not None
        assert window.records[0].payload == b"%d" % number
        places.add(window.place(window.records[0]))
    assert store.window(1, frozenset(places)) is None
    assert store.files == 3
