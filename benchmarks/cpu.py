"""CPU time that processes have used, from /proc: what can be compared on a machine that others use as well."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rating_engine.embedded.process import child_pids  # older trees, where inside.py imports this, have it too

ANSWERS = "127.0.0.1("  # and the port of who is answered: in the title of a backend


def tree(pid: int) -> list[int]:
    """A process and all that it has started."""
    return [pid, *(inner for child in child_pids(pid) for inner in tree(child))]


def used_ms(pids: list[int]) -> float:
    """Milliseconds of CPU, user and system, of all threads of these processes since they began."""
    total = 0
    for pid in pids:
        for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # a thread that has ended meanwhile
                total += int(schedstat.read_text().split()[0])
    return total / 1e6


class Watch:
    """What the trees of some processes use from now on, by name. What a process used that has ended is lost."""

    def __init__(self, **roots: int) -> None:
        self._roots = roots
        self._before = {pid: used_ms([pid]) for root in roots.values() for pid in tree(root)}

    def ms(self, name: str) -> float:
        """Milliseconds since the watch began."""
        return sum(max(0.0, used_ms([pid]) - self._before.get(pid, 0.0)) for pid in tree(self._roots[name]))


@contextlib.contextmanager
def before_others() -> Iterator[None]:
    """Real-time priority for this process and all that it has started, while it lasts, where that is permitted.

    The slowest hundredth of calls is what a percentile is about, and a task of the machine that holds a core for some
    milliseconds once a second is the slowest hundredth of whatever is measured. Not for what fills all cores: the
    kernel keeps a twentieth of each for the others. Nor for PostgreSQL's vacuum and the like, which would hold a core
    for as long as they please.
    """
    try:
        _schedule(os.SCHED_RR, os.sched_get_priority_min(os.SCHED_RR))
    except PermissionError:
        print("no right to real-time priority (root has it): what else runs is in the percentiles too", file=sys.stderr)
        yield
        return
    try:
        yield
    finally:
        _schedule(os.SCHED_OTHER, 0)


def _schedule(policy: int, priority: int) -> None:
    for pid in tree(os.getpid()):
        if not _works_behind(pid):
            for task in Path(f"/proc/{pid}/task").glob("*"):
                with contextlib.suppress(ProcessLookupError):  # a thread that has ended meanwhile
                    os.sched_setscheduler(int(task.name), policy, os.sched_param(priority))


def _works_behind(pid: int) -> bool:
    """Whether this is PostgreSQL, and no backend that answers somebody; or has ended meanwhile."""
    try:
        said = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return True
    return Path(said.split("\0", 1)[0]).name.startswith("postgres") and ANSWERS not in said
