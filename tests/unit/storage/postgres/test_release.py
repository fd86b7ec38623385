"""What a release brings is read from its files as they are written."""

from __future__ import annotations

import re

import pytest

from rating_engine.storage.postgres.release import FIRST_VERSION, MARK, Mode, Release, Step, shipped, statements


def test_semicolons_in_quotes_bodies_and_comments_end_no_statement():
    sql = """
        -- first; really
        CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $body$ BEGIN RETURN 'a;b'; END $body$;
        SELECT ';', ";" /* ; */ FROM t;
        -- nothing but words;
        SELECT 'it''s;'
    """

    found = statements(sql)

    assert [text.split("\n")[-1].split()[0] for text in found] == ["CREATE", "SELECT", "SELECT"]


def test_a_step_says_in_its_first_lines_how_it_is_run():
    sql = "-- mode: batches\n-- total: SELECT count(*) FROM cdrs\n-- Why.\nUPDATE cdrs SET x = 1 WHERE x IS NULL"

    step = Step.parse(7, "fill_x", sql)

    assert (step.mode, step.total, step.with_functions) == (Mode.BATCHES, "SELECT count(*) FROM cdrs", False)


def test_a_step_that_says_nothing_is_one_transaction():
    assert Step.parse(7, "x", "SELECT 1;").mode is Mode.TRANSACTION
    assert Step.parse(7, "x", "-- with functions\nSELECT 1;").with_functions


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(ValueError, match="sometimes"):
        Step.parse(7, "x", "-- mode: sometimes\nSELECT 1;")


def test_a_schema_without_its_mark_is_refused():
    with pytest.raises(ValueError, match="must have this line once"):
        _ = Release("CREATE TABLE t ();").functions


def test_the_steps_of_this_release_lead_from_one_version_to_the_next_without_a_gap():
    versions = [step.version for step in shipped().steps]

    assert versions == list(range(FIRST_VERSION + 1, shipped().version + 1))


def test_what_is_kept_for_the_last_release_can_be_dropped_again():
    assert shipped().kept.keys() <= shipped().dropped.keys()


def test_part_two_can_be_run_over_itself():
    """It makes nothing but what may be replaced in place, and composite types, which are left as they are."""
    repeatable = ("CREATE OR REPLACE FUNCTION", "CREATE OR REPLACE TRIGGER", "CREATE OR REPLACE VIEW", "CREATE TYPE")
    made = re.compile(r"CREATE (?!OR REPLACE )|DROP |ALTER ")
    for text in statements(shipped().functions):
        first = next(line for line in text.splitlines() if line and not line.startswith("--"))
        assert first.startswith(repeatable) or (first == "DO $$" and not made.search(text)), first


def test_the_mark_stands_once_between_tables_and_functions():
    tables, functions = shipped().schema.split(MARK)

    assert "CREATE OR REPLACE FUNCTION" not in tables
    assert "\nCREATE TABLE" not in functions
