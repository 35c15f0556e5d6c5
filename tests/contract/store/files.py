"""Merges and their undo as events, and where identifiers, documents and bindings are."""

from typing import Any

from gateway.model.event import FileMerge, MergeUndo
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from tests.contract.store.backends import Bench
from tests.strategies.records import H1, local

IPP, OTHER = local(H1, "100"), local(H1, "200")
BOTH = ("A. Martin", "B. Petit")


def a40(kept: tuple[PatientId, ...] = (OTHER,), absorbed: tuple[PatientId, ...] = (IPP,)) -> FileMerge:
    """A merge by a message."""
    return FileMerge(trigger="A40", identifiers=kept, absorbed=absorbed)


def signed(kept: PatientId, absorbed: PatientId, by: tuple[str, ...] = BOTH) -> FileMerge:
    """A merge by identity watch."""
    return FileMerge(trigger="command", identifiers=(kept,), absorbed=(absorbed,), signed_by=by)


#: Every table with its rows.
Tables = dict[str, list[dict[str, Any]]]


def names(bench: Bench, tables: Tables | None = None) -> dict[tuple[str, str], int]:
    """Which patient each identifier names."""
    return {(row["authority"], row["value"]): row["patient"] for row in (tables or bench.tables())["identifier"]}


def places(bench: Bench, tables: Tables | None = None) -> dict[str, list[int]]:
    """The patients that hold each document."""
    found: dict[str, list[int]] = {}
    for row in (tables or bench.tables())["document"]:
        found.setdefault(row["unique_id"], []).append(row["patient"])
    return {name: sorted(held) for name, held in found.items()}


def bindings(bench: Bench, tables: Tables | None = None) -> set[tuple[int, str]]:
    """(patient, statement) of what binds now."""
    return {(row["patient"], row["statement"]) for row in (tables or bench.tables())["binding"] if row["to_at"] is None}


def undo(bench: Bench, merge: Outcome | str, by: tuple[str, ...] = BOTH) -> Outcome:
    """Undo a merge by its receipt."""
    return bench.event(MergeUndo(merge=merge if isinstance(merge, str) else merge.receipt, signed_by=by))
