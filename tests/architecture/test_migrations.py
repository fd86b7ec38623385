"""Steps of the schema: each number is one step's, and none is left out."""

from __future__ import annotations

from rating_engine.storage.postgres.release import FIRST_VERSION, shipped


def test_steps_are_numbered_one_after_the_other():
    """Two of one number would both be taken for done when the first one is."""
    versions = [step.version for step in shipped().steps]
    assert versions == list(range(FIRST_VERSION + 1, FIRST_VERSION + 1 + len(versions))), [
        f"{step.version:04d}_{step.name}" for step in shipped().steps
    ]
