"""What must always be so in a record store: a table of invariants, each one query per backend that is expected empty."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from gateway.model.base import Model
from gateway.store.chain import verify
from gateway.store.rows import instant_text

if TYPE_CHECKING:
    from gateway.store.reader import Reader

#: Receipts are kept at least so long: a younger document has its receipt.
RECEIPTS_KEPT: Final = timedelta(days=90)
#: What is parked is kept so long (D-7), and the upkeep that takes it away may be late by as much.
PARKED_KEPT: Final = timedelta(days=30)
_PARKED_GRACE: Final = timedelta(days=2)

#: How many ids of a finding are told.
TOLD: Final = 5


class Invariant(Model, frozen=True, kw_only=True):
    """One thing that must always be so."""

    #: Its query is the named statement ``check_<name>`` of each backend, where it has one.
    name: str
    #: What is so.
    meaning: str
    #: What to do where it is not.
    advice: str


class Bounds(Model, frozen=True, kw_only=True):
    """Instants that some of the queries need, as rows write them."""

    #: A document committed since has its receipt.
    receipts_since: str
    #: Nothing that is parked was parked before.
    parked_since: str

    @classmethod
    def at(cls, now: datetime) -> "Bounds":
        """Return the bounds that hold at an instant."""
        return cls(receipts_since=instant_text(now - RECEIPTS_KEPT), parked_since=instant_text(now - PARKED_KEPT - _PARKED_GRACE))


class Finding(Model, frozen=True, kw_only=True):
    """What an invariant's query found."""

    invariant: Invariant
    #: How many rows break it.
    found: int
    #: Some of them: receipts, ids of statements or entries, numbers of patients; never an INS.
    ids: tuple[str, ...]


#: The invariant that no query tells: every line is hashed again.
TRACE: Final = "trace_whole"

_RESTORE: Final = "Stop the gateway, keep a copy of the store, and restore the last backup that passes `db check`."
_REPORT: Final = "The gateway never writes this by itself: look for a hand that changed rows, and report it with these ids."

#: Every invariant, in the order in which it is checked: what matters most to a patient first.
INVARIANTS: Final = (
    Invariant(
        name="against_opposition",
        meaning="No document was committed while an opposition to it bound its patient and was in force.",
        advice="Tell the DPO; have its establishment delete each document, and keep both ids for the patient's question.",
    ),
    Invariant(
        name="content_of_refused",
        meaning="Nothing is kept of a refused or rejected message: no bytes, no document, no entry, nothing parked.",
        advice=f"Tell the DPO. {_REPORT}",
    ),
    Invariant(
        name="statement_bound",
        meaning="Every statement binds a patient, and whatever binds is a statement and a patient that are there.",
        advice=f"An opposition that binds nobody protects nobody: have it stated again. {_REPORT}",
    ),
    Invariant(
        name="identifier_merged",
        meaning="No identifier leads to a patient that was merged into another.",
        advice=f"What is stated under that identifier misses the patient. {_REPORT}",
    ),
    Invariant(
        name="identifier_linked",
        meaning="Every identifier has its one open link, to the same patient, and every open link is an identifier's.",
        advice=_REPORT,
    ),
    Invariant(
        name="refusal_traced",
        meaning="Every refusal of a patient's deposit has its line in the trace.",
        advice=f"The patient must be able to read it. {_REPORT}",
    ),
    Invariant(
        name=TRACE,
        meaning="Each patient's trace is the chain that was written: no line changed, taken away or put in (R-35).",
        advice=f"A line was taken away, added or changed. {_RESTORE}",
    ),
    Invariant(
        name="document_owned",
        meaning="Every document has its patient, and its receipt as long as receipts are kept.",
        advice=_RESTORE,
    ),
    Invariant(
        name="document_bytes",
        meaning="Every current document has its bytes.",
        advice=f"Have its sender send it again after a deletion. {_RESTORE}",
    ),
    Invariant(
        name="bytes_owned",
        meaning="No bytes are kept without a document that came with them.",
        advice=f"Tell the DPO: this is content that no record shows. {_REPORT}",
    ),
    Invariant(
        name="entry_owned",
        meaning="No entry is kept without its document.",
        advice=f"Tell the DPO: this is content that no record shows. {_REPORT}",
    ),
    Invariant(
        name="one_current",
        meaning="A set of versions has one current document.",
        advice=f"A reader would take an older version for the latest. {_REPORT}",
    ),
    Invariant(
        name="deleted_hidden",
        meaning="No document that was deleted by its owner is listed as current or replaced.",
        advice=f"Have its owner send the deletion again. {_REPORT}",
    ),
    Invariant(
        name="parked_owned",
        meaning="What is parked has its receipt, which says so, and is not older than 30 days.",
        advice="See that the upkeep runs; an operator decides on what is parked.",
    ),
    Invariant(
        name="outbox_decided",
        meaning="What waits to be said to a sender is about a message that was decided.",
        advice=_REPORT,
    ),
)


def check_one(reader: "Reader", invariant: Invariant, bounds: Bounds) -> Finding:
    """Run an invariant's query on one state of the store; `found` is 0 where all is well. A gateway may write meanwhile."""
    rows = _broken(reader) if invariant.name == TRACE else reader.violations(invariant.name, bounds)
    return Finding(invariant=invariant, found=len(rows), ids=tuple(rows[:TOLD]))


def _broken(reader: "Reader") -> list[str]:
    return [f"patient {trace.patient}" for trace in reader.traces() if verify(trace)]


def check(reader: "Reader", now: datetime) -> list[Finding]:
    """Run every invariant's query and return what was found, in the order of the table; nothing where all is well."""
    bounds = Bounds.at(now)
    return [finding for invariant in INVARIANTS if (finding := check_one(reader, invariant, bounds)).found]
