"""How it stands with the keys of a machine: which days it holds, what each waits for, whether the promise is kept (D-7)."""

from datetime import datetime

from gateway.model.base import Model
from gateway.model.lane_day import LaneDay
from gateway.model.ports import Clock, FileUnusable
from gateway.queue import lanes, markers
from gateway.queue.embedded.listing import lane_of
from gateway.queue.errors import KeysUnusable
from gateway.queue.key_copy import fingerprint
from gateway.queue.key_files import Ring, date_of
from gateway.queue.keys import Keys
from gateway.store.port import StoreUnusable
from gateway.wiring.broker import amqp_url
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import open_reader


class LaneWait(Model, frozen=True, kw_only=True):
    """A lane that a key waits for."""

    lane: str
    since: datetime


class KeyLine(Model, frozen=True, kw_only=True):
    """One key that is held."""

    #: `flow`: what travels; `parking`: what is parked.
    ring: str
    #: UTC.
    day: str
    #: `in_use`: today's, one to come, or one that ended minutes ago; `waits`: a lane has not passed its day;
    #: `due`: to be erased within the hour; `kept`: what was parked on it may still be there;
    #: `unknown`: this machine has no record store to ask.
    state: str
    waits: tuple[LaneWait, ...] = ()


class KeyState(Model, frozen=True, kw_only=True):
    """The keys of a machine."""

    folder: str
    #: Today's date, UTC, which the fingerprint is of: two machines with the same secret print the same one on the same day.
    today: str
    #: None where the clock is behind the first key.
    fingerprint: str | None
    #: Nothing is readable outside the store 48 hours after its reception, what is parked excepted.
    promise_kept: bool
    #: Since when it is not.
    broken_since: datetime | None
    keys: tuple[KeyLine, ...]


def key_state(directory: DataDirectory, clock: Clock) -> KeyState:
    """
    Look at the keys of a machine, and at the record of what the lanes have passed; change nothing.

    Raises:
        KeysUnusable: no keys, or others may read them.
    """
    keys, now = Keys.open(directory.keys, clock), clock.now()
    known = _record(directory)
    held = keys.held()
    found: dict[int, list[LaneWait]] = {}
    if known is not None:
        rows, marked = known
        for wait in markers.waits(held, rows, marked, now):
            found.setdefault(wait.day, []).append(LaneWait(lane=wait.lane, since=wait.since))
    lines = []
    for day in held:
        waits = tuple(found.get(day, ()))
        state = "in_use" if day > markers.last_ended(now) else "unknown" if known is None else "waits" if waits else "due"
        lines.append(KeyLine(ring=Ring.FLOW.name.lower(), day=date_of(day).isoformat(), state=state, waits=waits))
    for day in keys.held(Ring.PARKING):
        state = "in_use" if day >= keys.today() else "kept"
        lines.append(KeyLine(ring=Ring.PARKING.name.lower(), day=date_of(day).isoformat(), state=state))
    since = markers.broken_since(held, now)
    try:
        told = fingerprint(keys)
    except KeysUnusable:
        told = None
    return KeyState(
        folder=str(directory.keys),
        today=date_of(keys.today()).isoformat(),
        fingerprint=told,
        promise_kept=since is None,
        broken_since=since,
        keys=tuple(lines),
    )


def _record(directory: DataDirectory) -> tuple[list[LaneDay], tuple[str, ...]] | None:
    """Return what the lanes have passed, and which lanes count; None where this machine cannot know."""
    try:
        if amqp_url() is not None:
            marked = lanes.MARKED
        elif directory.queue.exists():
            marked = (lane_of(directory.queue),)
        else:
            return None
        with open_reader(directory) as reader:
            return reader.lanes_passed(), marked
    except (StoreUnusable, FileUnusable):
        return None
