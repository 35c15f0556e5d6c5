"""
The locks of a transaction: what its identifiers lead to, taken in one order, before anything is read to decide on.

Slots of the gate in order, then patients in order: whoever waits holds only what comes before what it waits for, so nobody waits
in a circle. An unknown identifier has no patient to lock; its slot stands in: who decides on its absence shares the slot, who may
make its patient holds it alone.

Source: ARCHITECTURE.md (the lock is the proof).
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.model.event import MergeUndo, RecordEvent, TaskEnding
from gateway.store.postgres.session import Request, Row, Session
from gateway.telemetry import points

Key = tuple[str, str]

_SLOTS: Final = 1024


class Moved(Exception):
    """Between finding the patients and locking them, an identifier came to name another one: start over."""


class Unlocked(Exception):
    """A decision would rest on a row that no lock protects: a fault of the program."""


def lock(session: Session, identifiers: Iterable[Key], *, creates: bool) -> Mapping[Key, int]:
    """
    Find and lock every patient that the identifiers lead to, and the slots of those that lead nowhere.

    Args:
        session: Inside a READ COMMITTED transaction that holds no lock yet.
        identifiers: (authority, value) of each.
        creates: Whether a patient may be made for an unknown identifier.

    Returns:
        The patient of each known identifier, as it stays until the transaction ends.

    Raises:
        Moved: roll back and start over.
    """
    return lock_with(session, identifiers, None, creates=creates)[0]


def beside(event: RecordEvent) -> Request | None:
    """Return the statement that finds the patients of an event to whom none of its identifiers leads; None if there are none."""
    match event:
        case MergeUndo():
            return "merge_patients", (event.merge,)
        case TaskEnding():
            return "task_patient", (event.task,)
        case _:
            return None


def lock_with(
    session: Session, identifiers: Iterable[Key], other: Request | None, *, creates: bool
) -> tuple[Mapping[Key, int], frozenset[int]]:
    """
    Find and lock as `lock` does, in the same one statement with patients that are found without an identifier.

    Args:
        session: As for `lock`.
        identifiers: As for `lock`.
        other: The named statement that finds the other patients; None: there are none.
        creates: As for `lock`.

    Returns:
        The patient of each known identifier, and the other patients.

    Raises:
        Moved: roll back and start over.
    """
    keys = sorted(set(identifiers))
    if not keys and other is None:
        return {}, frozenset()
    points.reach("store.lock.asked")
    asked = ([authority for authority, _ in keys], [value for _, value in keys])
    known = _patients(session.all("resolve_identifiers", asked))
    named = _named(session, other)
    unknown = sorted({slot(key) for key in keys if key not in known})
    if unknown:
        session.run("hold_gate" if creates else "share_gate", (unknown,))
    if known or named:
        session.run("lock_patients", (sorted({*known.values(), *named}),))
    # A new statement sees what was committed while the locks were waited for.
    if _patients(session.all("confirm_identifiers", asked)) != known or _named(session, other) != named:
        raise Moved
    points.reach("store.lock.granted")
    return known, named


def slot(key: Key) -> int:
    """Return the slot of the gate that stands in for an identifier without patient: the same in every process."""
    digest = hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _SLOTS


def _named(session: Session, other: Request | None) -> frozenset[int]:
    return frozenset() if other is None else frozenset(row[0] for row in session.all(*other))


def _patients(rows: list[Row]) -> dict[Key, int]:
    return {(authority, value): patient for authority, value, patient in rows}
