"""How it ended, and why."""

from gateway.model.base import Model
from gateway.model.problem import Problem
from gateway.model.verdict import Verdict


class DocumentOutcome(Model, frozen=True, kw_only=True):
    """What became of one document of a submission."""

    unique_id: str
    verdict: Verdict
    problems: tuple[Problem, ...] = ()
    #: Number of the rule that decided (`O-2`, `D-5`…).
    rule: str | None = None
    #: For a duplicate: the receipt of the deposit that brought it first.
    first: str | None = None


class Outcome(Model, frozen=True, kw_only=True):
    """What became of a submission or an event: settled whole, with a reason per document."""

    verdict: Verdict
    #: Receipt of the deposit or event it belongs to.
    receipt: str = ""
    problems: tuple[Problem, ...] = ()
    documents: tuple[DocumentOutcome, ...] = ()
    rule: str | None = None
    #: Id of the statement that refused.
    statement: str | None = None
    #: When it was committed, ISO 8601, UTC.
    committed_at: str | None = None
    #: For a duplicate: the receipt of the first deposit.
    first: str | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        """Every problem code, once, in order of first appearance."""
        every = [p.code for p in self.problems] + [p.code for d in self.documents for p in d.problems]
        return tuple(dict.fromkeys(every))


class Rejection(Model, frozen=True, kw_only=True):
    """A message that the door refused: ids, codes, times and hash, never content (D-7)."""

    verdict: Verdict
    #: Identifiers as the message showed them, for the operator's list (INS or local id).
    patient: str | None = None
    document_ids: tuple[str, ...] = ()
    act: str | None = None
    problems: tuple[Problem, ...]
