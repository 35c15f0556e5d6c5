"""`dmp-gateway keys`: the secrets that seal what waits (D-7)."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from gateway.cli import console
from gateway.cli.data_option import data_option, json_option
from gateway.queue import key_files as files
from gateway.queue.errors import KeysUnusable
from gateway.queue.key_copy import export as copied
from gateway.queue.key_copy import fingerprint
from gateway.queue.key_copy import join as take_over
from gateway.queue.keys import Keys, initialise
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.key_state import KeyState, key_state

#: A copy is some 300 bytes.
_COPY_BYTES: Final = 4096
_PIPE: Final = "-"


@click.group()
def keys() -> None:
    """Make the keys that seal what waits between a door and the record store, see them, bring them to another machine."""


@keys.command("init")
@data_option
def init(*, data: Path) -> None:
    """
    Draw the first secrets, once per installation; `serve` does it by itself for a new embedded data directory.

    They lie in DATA/keys (0700, files 0600): keep that folder out of every backup. A second machine of the same installation
    draws none: it takes them over by `keys export` and `keys join`. Each machine then computes the day's keys by itself.
    """
    directory = DataDirectory(data)
    directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        initialise(directory.keys, SystemClock())
    except KeysUnusable as unusable:
        console.fail(str(unusable), "Keep the keys that are there: without them nothing that waits can be opened.")
    console.out.print(f"Keys made in {directory.keys}. Keep this folder out of every backup.")


@keys.command("status", short_help="Which keys are held, and what each waits for.")
@data_option
@json_option
def status(*, data: Path, as_json: bool) -> None:
    """
    Say which keys this machine holds, what each waits for, and whether nothing can be read 48 hours after its reception.

    A key of what travels goes an hour after every lane has passed its day; a lane that cannot drain keeps it. A key of what is
    parked goes when nothing that was parked on its day is kept any more. With AMQP_URL and DATABASE_URL the lanes are those of
    the broker; a machine with doors alone knows nothing of them.

    \b
    Exit status: 0 the promise is kept, 1 it is not, or there are no keys.
    """  # noqa: D301 - click reads this mark
    try:
        state = key_state(DataDirectory(data), SystemClock())
    except KeysUnusable as unusable:
        console.fail(str(unusable))
    if as_json:
        console.json_line(state)
    else:
        _print(state)
    if not state.promise_kept:
        raise SystemExit(1)


def _print(state: KeyState) -> None:
    rows = [
        (key.ring, key.day, key.state, "; ".join(f"{wait.lane} since {wait.since:%Y-%m-%d %H:%M} UTC" for wait in key.waits))
        for key in state.keys
    ]
    console.table(("ring", "day", "state", "waits for"), rows)
    console.out.print(f"\nfingerprint of {state.today}: {state.fingerprint or 'none, the clock is behind the first key'}")
    if state.broken_since is None:
        console.out.print("Nothing is readable outside the store 48 hours after its reception, what is parked excepted.")
    else:
        console.out.print(f"What was received more than 48 hours ago can be read, since {state.broken_since:%Y-%m-%d %H:%M} UTC.")


@keys.command("export", short_help="Copy the secret for another machine of the same installation.")
@click.argument("target", metavar="FILE|-", type=click.Path(path_type=Path, allow_dash=True))
@data_option
def export(*, target: Path, data: Path) -> None:
    """
    Copy the secret of this installation for another machine: into FILE, made with mode 0600, or to standard output with -.

    Best not through a file at all. Whoever has a copy opens whatever is sealed from its day on: wipe a file as soon as it was
    taken over (`shred -u FILE`). The fingerprint, on standard error, is to be the one that `keys join` prints.

    \b
    Example:
      dmp-gateway keys export - | ssh second dmp-gateway keys join --data /var/lib/dmp-gateway -
    """  # noqa: D301 - click reads this mark
    try:
        held = Keys.open(DataDirectory(data).keys, SystemClock())
        made = copied(held)
        mark = fingerprint(held)
    except KeysUnusable as unusable:
        console.fail(str(unusable))
    if str(target) == _PIPE:
        if _is_terminal():
            console.usage("A secret is not shown on a terminal.", "Pipe it to `dmp-gateway keys join -`, or name a file.")
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()
    else:
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(made)
                file.flush()
                os.fsync(file.fileno())
        except OSError as failure:
            console.fail(f"{target}: {failure.strerror}.", "Name a file that is not there yet.")
    console.err.print(f"fingerprint {mark}")


def _is_terminal() -> bool:
    return sys.stdout.isatty()


@keys.command("join", short_help="Take over the secret that another machine exported.")
@click.argument("source", metavar="FILE|-", type=click.Path(path_type=Path, allow_dash=True))
@data_option
def join(*, source: Path, data: Path) -> None:
    """
    Take over the secret of an installation: from a FILE that `keys export` made, of mode 0600, or from standard input with -.

    Only where this machine holds no keys yet. It computes the keys of the days since, and prints the fingerprint: it must be the
    one that `keys export`, or `keys status` on the other machine, prints on the same UTC day.
    """
    directory = DataDirectory(data)
    try:
        if str(source) == _PIPE:
            read = sys.stdin.buffer.read(_COPY_BYTES)
        else:
            files.require_private(source)
            with source.open("rb") as file:
                read = file.read(_COPY_BYTES)
        directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = fingerprint(take_over(directory.keys, read, SystemClock()))
    except KeysUnusable as unusable:
        console.fail(str(unusable), "Nothing was taken over.")
    except OSError as failure:
        console.fail(f"{source}: {failure.strerror}.", "Nothing was taken over.")
    console.out.print(f"Keys taken over into {directory.keys}. Keep this folder out of every backup.")
    console.out.print(f"fingerprint {mark}")
    if str(source) != _PIPE:
        console.err.print(f"Wipe the copy now: shred -u {source}")
