"""
What is kept no longer than it must be: a table of jobs, each in small transactions of its own, repeated until nothing is left.

A run that was cut off, came late or comes twice ends the same: each transaction takes what is due and is whole by itself.

Source: D-7, D-24, R-09, P16.
"""

import calendar
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from gateway.model.base import Model
from gateway.model.problem import Problem
from gateway.store import columns
from gateway.store.rows import TraceRow, instant_text

#: Rows that one transaction takes at most, about: an opposition waits for one of them, never for a job.
LIMIT: Final = 1_000
#: Things of which each is several rows.
_FEW: Final = 100
#: Who acts, in the trace.
_ACTOR: Final = "upkeep"


class Busy(Exception):
    """The upkeep is under way already, here or on another machine."""


class Periods(Model, frozen=True, kw_only=True):
    """How long things are kept."""

    receipts_days: int = 90
    parked_days: int = 30
    deleted_days: int = 30
    done_days: int = 90
    records_years: int = 10


class JobDone(Model, frozen=True, kw_only=True):
    """What a job did, or would do."""

    job: str
    #: What was due before this instant, ISO 8601 UTC.
    before: str
    #: How many things: receipts, parked deposits, documents, tasks, records…
    rows: int


class LastRun(Model, frozen=True, kw_only=True):
    """When a job ran to its end last, and how many things it took."""

    job: str
    ran_at: str
    rows: int


class Keeping(Protocol):
    """What the jobs ask of an open transaction."""

    @property
    def at(self) -> str:
        """The instant of the transaction."""
        ...

    def keep(self, name: str, /, **values: object) -> list[Any]:
        """Run a statement of `retention.sql` and return its rows."""
        ...

    def hold(self, patients: Iterable[int]) -> None:
        """Lock patients, in order, before anything of theirs is read."""
        ...

    def write_trace(self, row: TraceRow) -> None:
        """Write a line of the trace; see `Transaction`."""
        ...

    def raise_task_once(self, kind: str, receipt: str) -> None:
        """List something that a person must look at; see `Transaction`."""
        ...


class Job(Model, frozen=True, kw_only=True):
    """A row of the table of jobs."""

    name: str
    what: str
    #: The setting that says how long.
    setting: str
    chunk: Callable[[Keeping, str], int]


def _expire_parked(tx: Keeping, before: str) -> int:
    expired = tx.keep("expire_parked", before=before, limit=_FEW)
    for receipt, source in expired:
        tx.keep("expire_parked_names", receipt=receipt)
        for (text,) in tx.keep("outcome_of_parked", receipt=receipt):
            outcome = columns.decode_outcome(text)
            outcome = msgspec.structs.replace(outcome, problems=(*outcome.problems, Problem(code="PARKED_EXPIRED")))
            codes = msgspec.json.encode(outcome.codes).decode()
            tx.keep("tell_parked", receipt=receipt, codes=codes, outcome=msgspec.json.encode(outcome).decode())
        tx.write_trace(TraceRow(actor=source, action="parked.expired", receipt=receipt, verdict="parked", rule="D-7"))
        tx.raise_task_once("parked.expired", receipt)
    return len(expired)


def _erase_deleted(tx: Keeping, before: str) -> int:
    due = tx.keep("deleted_documents", before=before, limit=_FEW)
    tx.hold(patient for patient, _ in due)
    erased = 0
    for patient, unique_id in due:
        for receipt, part in tx.keep("bytes_of_deleted", patient=patient, unique_id=unique_id):
            tx.keep("forget_part", patient=patient, unique_id=unique_id)
            tx.keep("erase_part", receipt=receipt, part=part)
            tx.keep("erase_message", receipt=receipt)
            tx.keep("erase_form", receipt=receipt)
            tx.keep("erase_entries", patient=patient, unique_id=unique_id)
            tx.write_trace(
                TraceRow(
                    actor=_ACTOR, action="document.erased", receipt=receipt, patient=patient, document=unique_id, rule="R-19"
                )
            )
            erased += 1
    return erased


def _forget_nobody(tx: Keeping, before: str) -> int:
    lines = tx.keep("forget_lines_of_nobody", before=before, limit=LIMIT)
    return len(lines) + len(tx.keep("forget_refusals_of_nobody", before=before, limit=LIMIT))


#: What goes at once when a record is destroyed: from then on nobody is found by it, and a new opening makes a new patient.
_AT_ONCE: Final = (
    "wipe_identifiers", "wipe_links", "wipe_references", "wipe_suspensions", "wipe_stays", "wipe_merges", "wipe_moves",
    "wipe_tasks",
)  # fmt: skip
#: What goes after that, so much in each transaction.
_BIT_BY_BIT: Final = ("wipe_entries", "wipe_document_identifiers", "wipe_marks")


def _destroy_records(tx: Keeping, before: str) -> int:
    """Destroy a record that was closed for so long, with what was merged into it; counts steps, not records."""
    for (patient,) in tx.keep("record_to_destroy", before=before):
        files = [row[0] for row in tx.keep("merged_files", patient=patient)]
        tx.hold(files)
        if [row[0] for row in tx.keep("merged_files", patient=patient)] != files:
            return 1  # a merge was undone before the locks were granted: once more
        ((state, closed_at, _),) = tx.keep("state_of_record", patient=patient)
        if state == "closed" and closed_at < before:
            for file in files:
                tx.keep("wipe_record", patient=file)
                for name in _AT_ONCE:
                    tx.keep(name, patient=file)
            return 1
        if state != "destroyed":
            return 1  # reopened meanwhile: it is no longer among those to destroy
        if not any(_wiped(tx, file) for file in files):
            tx.keep("record_is_destroyed", patient=patient, at=tx.at)
            tx.write_trace(TraceRow(actor=_ACTOR, action="record.destroyed", receipt=_ACTOR, patient=patient, rule="R-09"))
        return 1
    return 0


def _wiped(tx: Keeping, patient: int) -> int:
    """Take away up to so many rows of a destroyed record's patient; return how many, 0 when nothing is left."""
    for name in _BIT_BY_BIT:
        if wiped := tx.keep(name, patient=patient, limit=LIMIT):
            return len(wiped)
    documents = tx.keep("documents_to_wipe", patient=patient, limit=_FEW)
    for unique_id, receipt, part in documents:
        tx.keep("wipe_document", patient=patient, unique_id=unique_id)
        if part is not None:
            tx.keep("erase_part", receipt=receipt, part=part)
        tx.keep("erase_message", receipt=receipt)
        tx.keep("erase_form", receipt=receipt)
    if documents:
        return len(documents)
    statements = tx.keep("statements_to_wipe", patient=patient, limit=_FEW)
    for (statement,) in statements:
        tx.keep("wipe_binding", patient=patient, statement=statement)
        tx.keep("wipe_statement_names", statement=statement)
        tx.keep("wipe_statement", statement=statement)
    if statements:
        return len(statements)
    lines = tx.keep("lines_to_wipe", patient=patient, limit=LIMIT // 2)
    for sequence, receipt, _ in lines:
        tx.keep("wipe_line", sequence=sequence)
        tx.keep("wipe_refusal", receipt=receipt, patient=patient)
    if lines:
        tx.keep("shorten_trace", patient=patient)
    return len(lines)


def _simple(name: str) -> Callable[[Keeping, str], int]:
    def chunk(tx: Keeping, before: str) -> int:
        return len(tx.keep(name, before=before, limit=LIMIT))

    return chunk


#: Every job, in the order in which they run: what is parked before the receipts that it holds.
JOBS: Final = (
    Job(
        name="parked",
        what="Sealed bytes of a parked deposit, after it was parked; its receipt says so, and a task is listed.",
        setting="retention.parked_days",
        chunk=_expire_parked,
    ),
    Job(
        name="outbox",
        what="What was to be said to a sender, after it was delivered.",
        setting="retention.done_days",
        chunk=_simple("forget_outbox"),
    ),
    Job(
        name="receipts",
        what="Receipts of deposits, events and rejections, after their decision; not while parked, nor untold.",
        setting="retention.receipts_days",
        chunk=_simple("forget_receipts"),
    ),
    Job(
        name="deleted",
        what="Bytes of a deleted document, after its deletion; its row with the hash and its trace stay.",
        setting="retention.deleted_days",
        chunk=_erase_deleted,
    ),
    Job(name="tasks", what="Tasks, after they were done.", setting="retention.done_days", chunk=_simple("forget_tasks")),
    Job(
        name="records",
        what="Closed records with all that is theirs, after their closing; a row without identity stays.",
        setting="retention.records_years",
        chunk=_destroy_records,
    ),
    Job(
        name="nobody",
        what="Lines of the trace and refusals that belong to no record, after they were written.",
        setting="retention.records_years",
        chunk=_forget_nobody,
    ),
)


def before(job: Job, periods: Periods, now: datetime) -> str:
    """Return the instant before which a job takes things, as rows write it."""
    _, _, name = job.setting.partition(".")
    length: int = getattr(periods, name)
    return instant_text(_years_ago(now, length) if name.endswith("years") else now - timedelta(days=length))


def run(
    transact: Callable[[Callable[[Keeping], Any]], Any],
    periods: Periods,
    now: datetime,
    *,
    dry_run: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> tuple[JobDone, ...]:
    """
    Run every job to its end.

    Args:
        transact: Runs a function in a transaction of its own and returns its result.
        periods: How long things are kept.
        now: The present instant, aware.
        dry_run: Count what is due and write nothing.
        stopping: Asked between two transactions; what is left is due at the next run.

    Returns:
        What each job that came to its end did, in order.
    """
    done = []
    for job in JOBS:
        due = before(job, periods, now)
        rows = int(transact(partial(_due, job, due)))
        if not dry_run:
            while not stopping() and transact(partial(_chunk, job, due)):
                pass
            if stopping():
                break
            transact(partial(_note, job, rows))
        done.append(JobDone(job=job.name, before=due, rows=rows))
    return tuple(done)


def _due(job: Job, due: str, tx: Keeping) -> int:
    return int(tx.keep(f"count_{job.name}", before=due)[0][0])


def _chunk(job: Job, due: str, tx: Keeping) -> int:
    return job.chunk(tx, due)


def _note(job: Job, rows: int, tx: Keeping) -> None:
    tx.keep("note_run", job=job.name, at=tx.at, rows=rows)


def _years_ago(now: datetime, years: int) -> datetime:
    """Return the same day so many years before; the 29th of February falls on the 28th."""
    year = now.year - years
    day = 28 if (now.month, now.day) == (2, 29) and not calendar.isleap(year) else now.day
    return now.replace(year=year, day=day)
