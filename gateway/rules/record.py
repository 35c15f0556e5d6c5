"""Does the record take the act: no record takes nothing, a closed one only what protects."""

import enum

from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.rules.decision import Decision


class RecordState(enum.StrEnum):
    """Where a record is in its life, as far as feeding goes. Source: R-08, R-09."""

    #: Never opened, or destroyed.
    ABSENT = "absent"
    OPEN = "open"
    #: Closed or suspended (R-08).
    CLOSED = "closed"


_ABSENT = Decision(
    verdict=Verdict.REFUSED,
    problem="RECORD_ABSENT",
    rule="R-01",
    because="The patient has no record, and a deposit never opens one.",
)
_CLOSED = Decision(
    verdict=Verdict.REFUSED,
    problem="RECORD_CLOSED",
    rule="R-08",
    because="The record is closed: it takes no new content.",
)


def decide(state: RecordState, act: Act) -> Decision | None:
    """
    Tell whether the state of the record refuses the act.

    Args:
        state: The record's state, read under the patient's lock.
        act: What the submission asks for.

    Returns:
        The refusal, or None: an open record takes every act, a closed one a deletion.

    Source: R-01, R-02, R-08; D-4, D-18; D-25.
    """
    match state:
        case RecordState.ABSENT:
            return _ABSENT
        case RecordState.CLOSED if act is not Act.DELETE:
            return _CLOSED
        case _:
            return None
