"""
The chain of a patient's trace: each line carries its place and the hash of itself and the line before it (R-35).

A line that was changed, taken out, put in or moved breaks it; one taken from the end no longer fits the head that the patient's
row carries.
"""

import enum
import hashlib
from collections.abc import Iterable

import msgspec

from gateway.model.base import Model
from gateway.store.rows import TraceRow


class Head(Model, frozen=True, kw_only=True):
    """How far the chain of a patient goes, as the patient's row says it."""

    length: int = 0
    #: Hash of the last line; None where there is none.
    hash: str | None = None


class Line(Model, frozen=True, kw_only=True):
    """A line of a patient's trace as it stands in the store."""

    #: Its place in the chain, 1 for the first; None: it never was part of it.
    n: int | None
    at: str
    row: TraceRow
    hash: str | None


class TraceOf(Model, frozen=True, kw_only=True):
    """The whole trace of a patient, and what it must end with."""

    patient: int
    head: Head
    #: In the order of their places; those without one first.
    lines: tuple[Line, ...]


class Break(enum.StrEnum):
    """What is wrong with a chain at a place."""

    #: A line says something else than when it was written.
    CHANGED = "changed"
    #: Between the line before and this one, or after the last, something was taken out.
    MISSING = "missing"
    #: A line that the chain does not have at this place: put in, or there twice.
    ADDED = "added"


class Fault(Model, frozen=True, kw_only=True):
    """A place where a chain is broken; names nobody."""

    patient: int
    #: The place; 0 for a line that has none.
    n: int
    what: Break


def digest(previous: str | None, n: int, at: str, row: TraceRow) -> str:
    """
    Return the hash of a line.

    Args:
        previous: The hash of the line before; None for the first.
        n: Its place, from 1.
        at: Its instant as the row writes it.
        row: What it says, under a patient.

    Returns:
        SHA-256, hexadecimal, over a JSON array of the values in a fixed order: an array keeps them apart whatever they contain.
    """
    values = (
        previous,
        row.patient,
        n,
        at,
        row.actor,
        row.action,
        row.receipt,
        row.document,
        row.verdict,
        row.rule,
        row.statement,
        row.rights_version,
    )
    return hashlib.sha256(msgspec.json.encode(values)).hexdigest()


def extend(head: Head, at: str, row: TraceRow) -> Head:
    """Return the head after one more line: its length is the line's place, its hash the line's."""
    n = head.length + 1
    return Head(length=n, hash=digest(head.hash, n, at, row))


def verify(trace: TraceOf) -> tuple[Fault, ...]:
    """
    Find where the trace of a patient is not as it was written.

    Args:
        trace: All lines of one patient, and the head.

    Returns:
        Every place that is wrong, in order; none for a whole chain. After a break the chain goes on from the line found there.
    """
    faults: list[Fault] = []
    before = Head()
    for line in sorted(trace.lines, key=lambda each: each.n or 0):
        if line.n is None or line.n <= before.length:
            faults.append(Fault(patient=trace.patient, n=line.n or 0, what=Break.ADDED))
            continue
        if line.n > before.length + 1:
            faults.append(Fault(patient=trace.patient, n=before.length + 1, what=Break.MISSING))
        elif line.row.patient != trace.patient or line.hash != digest(before.hash, line.n, line.at, line.row):
            faults.append(Fault(patient=trace.patient, n=line.n, what=Break.CHANGED))
        before = Head(length=line.n, hash=line.hash)
    return (*faults, *_end(trace, before))


def _end(trace: TraceOf, last: Head) -> Iterable[Fault]:
    if last.length < trace.head.length:
        yield Fault(patient=trace.patient, n=last.length + 1, what=Break.MISSING)
    elif last.length > trace.head.length:
        yield Fault(patient=trace.patient, n=trace.head.length + 1, what=Break.ADDED)
    elif last.hash != trace.head.hash:
        yield Fault(patient=trace.patient, n=last.length, what=Break.CHANGED)
