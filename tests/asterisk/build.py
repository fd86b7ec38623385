"""A real Asterisk to test against: built once from Debian's packages, kept outside the repository.

Law: what lies under the cache key is whole. A build goes to a directory of its own and is renamed when it is
complete; what a killed build left behind is removed by the next one.

`python tests/asterisk/build.py` builds ahead of the tests and prints where it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SUITE: Final = "sid"  # the suite of Debian that carries a current Asterisk (22); stable releases carry none
PACKAGES: Final = ("asterisk", "sip-tester")  # SIPp places many calls at once
RECIPE: Final = 1  # raise it when what `_build` leaves in the directory changes: the cache key follows
BUILD_SECONDS: Final = 900  # a build takes about a minute; a slow mirror gets fifteen
LOCK_SECONDS: Final = BUILD_SECONDS + 60  # a second test run waits for the first one's build
PROGRESS_SECONDS: Final = 5.0  # without a terminal: a line this often
MIRROR_LIST: Final = "mirror+file:"
DROPPED: Final = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")


class Unbuildable(Exception):
    """Asterisk cannot be had here; the message says what is missing."""


def asterisk_root() -> Path:
    """Return a directory that `chroot` can run Asterisk in, building it the first time (about a minute).

    ASTERISK_ROOT names one to use instead ("/" where Asterisk is installed). Raises Unbuildable.
    """
    if given := os.environ.get("ASTERISK_ROOT"):
        return _checked(Path(given))
    if os.geteuid() != 0:
        raise Unbuildable("only root can build and enter a chroot; run as root or set ASTERISK_ROOT")
    cache = _cache()
    kept = cache / _key()
    if kept.is_dir():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / "lock"):
        if not kept.is_dir():
            _build(cache, kept)
    return kept


def _checked(root: Path) -> Path:
    if not (root / "usr/sbin/asterisk").exists():
        raise Unbuildable(f"ASTERISK_ROOT={root} has no usr/sbin/asterisk")
    if os.geteuid() != 0:
        raise Unbuildable("only root can chroot")
    return root


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rating-engine" / "asterisk"


def _key() -> str:
    recipe = f"{SUITE} {PACKAGES} {RECIPE} {DROPPED}"
    return f"{SUITE}-{os.uname().machine}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the cache alone: two test runs build once."""
    deadline = time.monotonic() + LOCK_SECONDS
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unbuildable(f"another build holds {path} for too long") from None
                time.sleep(0.2)
        yield


def _build(cache: Path, kept: Path) -> None:
    for leftover in cache.glob("building-*"):
        shutil.rmtree(leftover)
    debootstrap = _debootstrap()
    mirror = _mirror()
    target = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    target.chmod(0o755)  # mkdtemp makes it 0700, and Asterisk runs as its own user inside
    log = cache / "build.log"
    command = [*_own_mounts(), debootstrap, "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    try:
        _run([*command, SUITE, str(target), mirror], log, note=f"building Asterisk once, kept in {kept}")
        _run(["chroot", str(target), "asterisk", "-V"], log, note="")
        for name in DROPPED:
            shutil.rmtree(target / name, ignore_errors=True)
        target.rename(kept)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _debootstrap() -> str:
    """Find debootstrap, or install it as this machine installs packages."""
    if found := shutil.which("debootstrap"):
        return found
    apt = shutil.which("apt-get")
    if apt is None:
        raise Unbuildable("debootstrap is not installed, and there is no apt-get to install it with")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "--yes", "--no-install-recommends", "debootstrap"]
    for command in (install, [apt, "update"], install):  # package lists may be missing or old
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS)
        if found := shutil.which("debootstrap"):
            return found
    raise Unbuildable(f"debootstrap could not be installed: {_tail(done.stderr)}")


def _mirror() -> str:
    """Return the Debian mirror this machine itself installs from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unbuildable(f"this machine's package sources can't be read: {error}") from None
    for line in answer.splitlines():
        uri, codename, component = [*line.split(), "", "", ""][:3]
        if uri.startswith(MIRROR_LIST):  # as Debian's cloud images name theirs: the address stands in a file
            uri = Path(uri.removeprefix(MIRROR_LIST)).read_text().split()[0]
        plain = "-" not in codename  # not the -updates or -security archive: they hold no whole suite
        if plain and component == "main" and uri.rstrip("/").endswith("/debian"):
            return uri
    raise Unbuildable("this machine's package sources name no Debian mirror")


def _own_mounts() -> list[str]:
    """Run debootstrap in a mount namespace where that is allowed: nothing it mounts can be left behind."""
    wrapper = ["unshare", "--mount", "--propagation", "private"]
    try:
        allowed = subprocess.run([*wrapper, "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return []
    return wrapper if allowed else []


def _run(command: list[str], log: Path, note: str) -> None:
    """Run `command` with its output in `log`, showing how it goes; raise Unbuildable with its last words."""
    started = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            with _progress(note) as show:
                while process.poll() is None:
                    seconds = time.monotonic() - started
                    if seconds > BUILD_SECONDS:
                        raise Unbuildable(f"{command[0]} took longer than {BUILD_SECONDS} s: {_tail(log.read_text())}")
                    if note:
                        show(f"{note}: {_steps(log)}, {seconds:.0f} s")
                    time.sleep(0.2)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # debootstrap is a shell with children of its own
            process.wait()
    if process.returncode != 0:
        raise Unbuildable(f"{Path(command[0]).name} failed: {_tail(log.read_text())}")


def _steps(log: Path) -> str:
    words = [line.split()[1] for line in log.read_text().splitlines() if line.startswith("I: ")]
    return f"{words.count('Retrieving')} packages fetched, {words.count('Configuring')} set up"


class _Progress:
    """One line, rewritten on a terminal and repeated now and then elsewhere."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.last = 0.0

    def __call__(self, text: str) -> None:
        if self.terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self.last >= PROGRESS_SECONDS:
            self.last = time.monotonic()
            print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _progress(note: str) -> Iterator[_Progress]:
    show = _Progress()
    try:
        yield show
    finally:
        if show.terminal and note:
            print(file=sys.stderr, flush=True)


def _tail(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-3:]) or "no output"


if __name__ == "__main__":
    try:
        print(asterisk_root())
    except Unbuildable as error:
        sys.exit(f"Asterisk can't be built here: {error}")
