"""What a reader of a format without messages (CDA alone, FHIR) gives to its door."""

from dataclasses import dataclass

from gateway.mappers.common.findings import Findings
from gateway.model.event import PatientEvent
from gateway.model.outcome import Rejection
from gateway.model.problem import Problem
from gateway.model.submission import Submission
from gateway.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Read:
    """
    One request, read.

    Attributes:
        content: What it asks for, or why it is refused.
        parts: Of a submission: the payload without the spans of its carriers, then its documents; else none.
        problems: Everything for the answer: of a rejection errors first, in the order of the checks; the first one decides.
    """

    content: Submission | PatientEvent | Rejection
    parts: tuple[bytes, ...]
    problems: tuple[Problem, ...]


def rejected(
    findings: Findings, *, patient: str | None = None, document_ids: tuple[str, ...] = (), act: str | None = None
) -> Read:
    """
    Return what is read of a request that the door refuses.

    Args:
        findings: At least one error; the first one found stands first in the rejection.
        patient: Identifier as the request showed it.
        document_ids: The documents it names.
        act: What it asks for.
    """
    rejection = Rejection(
        verdict=Verdict.REJECTED, patient=patient, document_ids=document_ids, act=act, problems=findings.deciding
    )
    return Read(rejection, (), findings.deciding)
