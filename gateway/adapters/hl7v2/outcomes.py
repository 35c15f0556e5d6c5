"""What an outcome is answered by, and what a line tells of a message."""

from collections.abc import Sequence
from typing import Final

from gateway.adapters.hl7v2.arrival import Arrival
from gateway.model.event import FileMerge, IdentifierChange, PatientEvent
from gateway.model.outcome import Outcome
from gateway.model.problem import Answer, Problem, Severity
from gateway.model.problems import CODES
from gateway.model.verdict import Verdict

_REFUSING: Final = frozenset({Verdict.REFUSED, Verdict.REJECTED})


def answer_of(outcome: Outcome) -> Answer:
    """
    Return MSA-1 of an outcome: a circumstance is never the content's fault (D-2).

    What is parked is AR: nothing is decided (D-6), so that AA would promise too much, and AE would have the sender bin what is
    not its fault. Sent again it is judged again; stored meanwhile, it is a duplicate, AA.
    """
    if not outcome.verdict.final or any(map(asks_again, outcome.problems)):
        return Answer.AR
    if outcome.verdict in _REFUSING:
        return Answer.AE
    return Answer.AE if any(problem.severity is Severity.ERROR for problem in outcome.problems) else Answer.AA


def decided(outcome: Outcome) -> Answer:
    """
    Return MSA-1 of the outcome of a deposit: AE where it was refused, AR where it is parked, AA else.

    A duplicate is AA as the first was (D-6); what is said of documents that are in the record refuses nothing.
    """
    if not outcome.verdict.final:
        return Answer.AR
    if outcome.verdict in _REFUSING:
        return Answer.AR if any(map(asks_again, outcome.problems)) else Answer.AE
    return Answer.AA


def problems_of(outcome: Outcome) -> tuple[Problem, ...]:
    """
    Return every problem of a deposit's outcome; of what is parked, PARKED.

    What is said of the whole is not said of each document again.
    """
    if not outcome.verdict.final:
        return (Problem(code="PARKED"),)
    whole = {problem.code for problem in outcome.problems}
    of_documents = (problem for document in outcome.documents for problem in document.problems if problem.code not in whole)
    return tuple(dict.fromkeys((*outcome.problems, *of_documents)))


def asks_again(problem: Problem) -> bool:
    """Tell whether a problem is a circumstance: the sender is to send again."""
    return problem.severity is Severity.ERROR and CODES[problem.code].answer is Answer.AR


def codes_of(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Return each code once, in order."""
    return tuple(dict.fromkeys(problem.code for problem in problems))


def who(arrival: Arrival) -> dict[str, str]:
    """Return the fields that every line about a message has."""
    reception = arrival.reception
    return {
        "receipt": reception.receipt,
        "door": reception.door,
        "source": reception.source,
        "message": reception.message_id,
        "type": reception.message_type,
    }


def kinds_of(event: PatientEvent | IdentifierChange | FileMerge) -> tuple[str, ...]:
    """Return what an event stated, for the log and the counters."""
    stated = () if isinstance(event, FileMerge) else event.statements
    return tuple(f"{statement.right}_{statement.position}" for statement in stated)
