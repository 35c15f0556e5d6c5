"""
Node clients that nobody here wrote (`tests/clients`): installed once per lock file outside the tree, each script a process.

The folder is ``dmp-gateway-tests/clients-<hash of package.json and the lock>`` of the user's cache (``XDG_CACHE_HOME``, else
``~/.cache``). Those who come at the same time wait for one that installs; what is half installed is never seen.
"""

import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).resolve().parent.parent / "clients"
_LISTS = ("package.json", "package-lock.json", ".npmrc")

#: What `npm ci` says where no registry answers: of the name, of the line, of the time.
_AWAY = re.compile(
    rb"^npm (?:error|ERR!) code (?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT"
    rb"|ERR_SOCKET_TIMEOUT|FETCH_ERROR)\b",
    re.MULTILINE,
)
#: A registry that does not answer is asked twice, a second apart, and given up after a minute: npm's own patience is five.
_IMPATIENT = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000")


def need_node() -> str:
    """Return the program `node`; leave the test out where it, or `npm`, is not there."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("no node or npm: install Node.js 20 or later")
    return node


class Unreachable(Exception):
    """No package registry answers."""


def installed() -> Path:
    """
    Return the folder whose `node_modules` holds every client of the lock file, installed by `npm ci` if it is not there yet.

    Leaves the test out where no package registry can be reached.

    Raises:
        RuntimeError: `npm ci` failed; says what it said.
    """
    need_node()
    place = _found()
    if place is None:
        pytest.skip("no package registry: npm ci reached none, and the clients are not in the cache")
    return place


@functools.cache
def _found() -> Path | None:
    """Return the folder, None where it can be installed from nowhere: found out once a process."""
    try:
        return _looked_for()
    except Unreachable:
        return None


def _looked_for() -> Path:
    digest = hashlib.sha256(b"".join((CLIENTS / name).read_bytes() for name in _LISTS)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dmp-gateway-tests"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = cache / f"clients-{digest}"
    with (cache / f"clients-{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as made:
                _install(Path(made) / "whole")
                (Path(made) / "whole").rename(place)
    return place


def _install(folder: Path) -> None:
    folder.mkdir()
    for name in _LISTS:
        shutil.copy(CLIENTS / name, folder / name)
    npm = shutil.which("npm") or "npm"
    done = subprocess.run([npm, "ci", "--no-progress", *_IMPATIENT], cwd=folder, capture_output=True, timeout=240, check=False)
    if done.returncode and _AWAY.search(done.stderr):
        raise Unreachable
    if done.returncode:
        raise RuntimeError(f"npm ci: {done.stderr.decode(errors='replace')[-2000:]}")


def start(script: str, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """
    Start a script of `tests/clients` as a process of its own; its output is piped.

    Args:
        script: Its name, ``medplum.mjs``.
        arguments: What it is given.
        environment: Variables beside those of this process.
    """
    node, place = need_node(), installed()
    source = (CLIENTS / script).read_bytes()
    # Node looks for modules above the script itself: it runs as a copy below node_modules, by its content.
    copy = place / hashlib.sha256(source).hexdigest()[:16] / script
    if not copy.exists():
        copy.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=copy.parent, delete=False) as made:
            made.write(source)
        Path(made.name).rename(copy)
    return subprocess.Popen(
        [node, str(copy), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )


def run(script: str, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 60) -> list[Any]:
    """
    Run a script to its end.

    Returns:
        What it wrote on standard output: one JSON value a line.

    Raises:
        RuntimeError: it ended with another status than 0, or not in time.
    """
    process = start(script, *arguments, environment=environment)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{script} ended with {process.returncode}: {err.decode(errors='replace')[-2000:]}")
    return [json.loads(line) for line in out.decode("utf-8").splitlines() if line.startswith(("{", "[", '"'))]
