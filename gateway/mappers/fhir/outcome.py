"""
Problems as an OperationOutcome, and the HTTP status that they ask for.

Nothing of a content is repeated: codes, texts of ours, places and names of elements only.

Source: HL7 FHIR R4, operationoutcome; D-16, D-25.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.mappers.fhir.texts_fr import TEXTS_FR
from gateway.model.problem import Problem, ProblemCode, Severity
from gateway.model.problems import CODES

#: The table of problems as a code system (`docs/problems.md`).
SYSTEM: Final = "urn:dmp-gateway:problems"
#: Where IHE lists the codes of errors (ITI TF-3, table 4.2.4.1-2).
IHE_ERRORS: Final = "https://profiles.ihe.net/ITI/TF/Volume3/ch-4.2.html"

#: What a code of XDS is that says nothing beyond "an error": of no use beside ours.
_SAYS_NOTHING: Final = "XDSRepositoryMetadataError"
_UNREADABLE: Final = "structure"
_OK: Final = 200
_BAD_REQUEST: Final = 400
_UNPROCESSABLE: Final = 422
#: The body as a whole.
_WHOLE: Final = "$"
_NOTHING_SAID: Final = "Tout s'est bien passé."


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of what is written as FHIR JSON: camel case, and nothing that is empty."""


class Coding(Resource, frozen=True, kw_only=True):
    """HL7 FHIR R4, Coding."""

    system: str | None = None
    code: str
    display: str | None = None


class Concept(Resource, frozen=True, kw_only=True):
    """HL7 FHIR R4, CodeableConcept."""

    coding: tuple[Coding, ...] = ()
    text: str | None = None


class Issue(Resource, frozen=True, kw_only=True):
    """HL7 FHIR R4, OperationOutcome.issue."""

    severity: str
    code: str
    details: Concept
    diagnostics: str | None = None
    expression: tuple[str, ...] = ()


class OperationOutcome(Resource, frozen=True, kw_only=True, tag_field="resourceType", tag="OperationOutcome"):
    """HL7 FHIR R4, OperationOutcome."""

    issue: tuple[Issue, ...]


def outcome(problems: Iterable[Problem], *, documents: Sequence[str] = ()) -> OperationOutcome:
    """
    Return problems as an OperationOutcome.

    Args:
        problems: In the order in which they are told; none: one issue says that all went well.
        documents: FHIRPath of each document of the submission, for a problem that has no place of its own.

    Returns:
        One issue for each: `details.coding` has our code and IHE's where it says more than "an error", `details.text` is French,
        `diagnostics` is what to do about it, `expression` the place in the request.
    """
    issues = tuple(_issue(problem, documents) for problem in dict.fromkeys(problems))
    return OperationOutcome(issue=issues or (_all_well(),))


def information(text: str, diagnostics: str) -> OperationOutcome:
    """Return an OperationOutcome that only tells something; `text` is French."""
    issue = Issue(severity=Severity.INFORMATION.value, code="informational", details=Concept(text=text), diagnostics=diagnostics)
    return OperationOutcome(issue=(issue,))


def status_of(problems: Iterable[Problem]) -> int:
    """
    Return the HTTP status of problems: that of the first one that refuses; 200 where none does.

    Source: D-25.
    """
    first = next((problem for problem in problems if problem.severity is Severity.ERROR), None)
    if first is None:
        return _OK
    status = CODES[first.code].http
    return status if status >= _BAD_REQUEST else _UNPROCESSABLE


def _issue(problem: Problem, documents: Sequence[str]) -> Issue:
    row = CODES[problem.code]
    return Issue(
        severity=_severity(problem, row),
        code=row.issue,
        details=Concept(coding=_codings(row), text=TEXTS_FR.get(problem.code, row.text)),
        diagnostics=_diagnostics(problem, row),
        expression=_expression(problem, documents),
    )


def _severity(problem: Problem, row: ProblemCode) -> str:
    """Return the severity; what could not be read at all is fatal."""
    if problem.severity is Severity.ERROR and row.issue == _UNREADABLE and row.http == _BAD_REQUEST:
        return "fatal"
    return problem.severity.value


def _codings(row: ProblemCode) -> tuple[Coding, ...]:
    own = Coding(system=SYSTEM, code=row.code, display=row.text)
    if row.xds == _SAYS_NOTHING:
        return (own,)
    return (own, Coding(system=IHE_ERRORS, code=row.xds))


def _diagnostics(problem: Problem, row: ProblemCode) -> str:
    """Return what to do, what is particular to this case, and a place that is no FHIRPath: in an enclosed document, a header."""
    place = problem.place
    elsewhere = "" if place is None or (place.within is None and _is_fhirpath(place.path)) else place.path
    return " | ".join(part for part in (row.advice, problem.detail, "" if elsewhere == _WHOLE else elsewhere) if part)


def _is_fhirpath(path: str) -> bool:
    """Tell whether a path begins with the type of a resource."""
    return path[:1].isupper()


def _expression(problem: Problem, documents: Sequence[str]) -> tuple[str, ...]:
    if problem.place is not None:
        path = problem.place.outermost.path
        return (path,) if _is_fhirpath(path) else ()
    if problem.document is not None and problem.document < len(documents):
        return (documents[problem.document],)
    return ()


def _all_well() -> Issue:
    return Issue(severity=Severity.INFORMATION.value, code="informational", details=Concept(text=_NOTHING_SAID))
