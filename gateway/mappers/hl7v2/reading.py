"""What a reader of messages gets, and what it gives."""

from dataclasses import dataclass

from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2.header import Header
from gateway.mappers.hl7v2.tokens import Message
from gateway.model.event import FileMerge, IdentifierChange, PatientEvent
from gateway.model.outcome import Rejection
from gateway.model.problem import Answer, Problem
from gateway.model.problems import CODES
from gateway.model.source import Directory, Source
from gateway.model.submission import Submission
from gateway.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Received:
    """
    One message, who sends it, and what was found of it so far.

    Attributes:
        message: The message, cut into pieces.
        header: Its header.
        source: Who sends.
        directory: All establishments and their authorities.
        environment: `production` or `test`.
        findings: Takes its problems.
    """

    message: Message
    header: Header
    source: Source
    directory: Directory
    environment: str
    findings: Findings


@dataclass(frozen=True, slots=True)
class Reading:
    """
    One message, read.

    Attributes:
        content: What it asks for, or why it is refused.
        parts: Of a submission: the payload without the spans of its carriers, then its documents; else none.
        answer: MSA-1 as far as the message alone decides it: AA unless `content` is a rejection.
        problems: Everything for the answer, in message order.
    """

    content: Submission | PatientEvent | IdentifierChange | FileMerge | Rejection
    parts: tuple[bytes, ...]
    answer: Answer
    problems: tuple[Problem, ...]


def rejected(
    findings: Findings, *, patient: str | None = None, document_ids: tuple[str, ...] = (), act: str | None = None
) -> Reading:
    """
    Return the reading of a message that the door refuses.

    Args:
        findings: At least one error; the first one found gives the answer and stands first in the rejection.
        patient: Identifier as the message showed it.
        document_ids: The documents it names.
        act: What it asks for.
    """
    rejection = Rejection(
        verdict=Verdict.REJECTED, patient=patient, document_ids=document_ids, act=act, problems=findings.deciding
    )
    return Reading(rejection, (), CODES[findings.errors[0].code].answer, findings.in_message_order)


def ignored(
    findings: Findings, *, patient: str | None = None, document_ids: tuple[str, ...] = (), act: str | None = None
) -> Reading:
    """Return the reading of a message that is acknowledged and of no concern to the record; arguments as `rejected`."""
    rejection = Rejection(
        verdict=Verdict.IGNORED, patient=patient, document_ids=document_ids, act=act, problems=findings.deciding
    )
    return Reading(rejection, (), Answer.AA, findings.in_message_order)
