"""What a run says: tables when it went well, and how to see it again when it did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class SimulationFailed(AssertionError):
    """The seed, the moment, what led to it, and how to run it again."""

    def __init__(self, problem: str, *, seed: int, calls: int, when: str, trace: Iterable[str]) -> None:
        again = f"SIM_SEED={seed} SIM_CALLS={calls} pytest tests/faults/test_simulation.py -k this_seed"
        told = "\n".join(f"  {line}" for line in trace)
        super().__init__(f"seed={seed}, {when}: {problem}\n\nwhat went before:\n{told}\n\nto see it again: {again}")
        self.seed = seed
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one run. `ended` counts CDRs by (state, source), `answers` by (question, answer)."""

    seed: int
    calls: int
    started: int
    steps: int
    questions: int
    statements: int
    crashes: int
    virtual_hours: float
    real_seconds: float
    faults: Counter[str]
    answers: Counter[tuple[str, str]]
    ended: Counter[tuple[str, str]]
    reported: int
    overruns: int
    fingerprint: int

    def __str__(self) -> str:
        head = (
            f"seed={self.seed}: {self.calls} calls ({self.started} started, {self.reported} reported and charged, "
            f"{self.overruns} overran) in {self.virtual_hours:.1f} virtual hours; {self.questions} questions in "
            f"{self.steps} steps, {self.statements} statements, {self.crashes} crashes; {self.real_seconds:.1f} s, "
            f"{self.steps / self.real_seconds:.0f} steps/s; fingerprint {self.fingerprint:08x}"
        )
        tables = [
            _table("fault", [((name,), count) for name, count in self.faults.items()]),
            _table("question, answer", list(self.answers.items())),
            _table("CDR state, source", list(self.ended.items())),
        ]
        return "\n".join([head, *tables])


def _table(title: str, rows: Sequence[tuple[tuple[str, ...], int]]) -> str:
    lines = [f"  {' '.join(f'{word:<20}' for word in names)} {count:>7}" for names, count in sorted(rows)]
    return "\n".join([title, *lines])
