"""problem+json (RFC 9457): how refusals are written outside /fhir."""

from http import HTTPStatus
from typing import Final

import msgspec

from gateway.adapters.http.call import PROBLEM_JSON, Refused, Reply
from gateway.model.base import Model
from gateway.model.problem import Problem, Severity
from gateway.model.problems import CODES


class ProblemLine(Model, frozen=True, kw_only=True):
    """One problem of an answer."""

    #: A code of the table of problems.
    code: str
    #: error, warning or information.
    severity: str
    #: What happened.
    text: str
    #: What to do about it.
    advice: str
    #: Where in what was sent: XPath, FHIRPath, or ER7 notation.
    place: str | None = None
    #: What is particular to this case; never a person's data.
    detail: str | None = None
    #: Which document of the submission it concerns, from 0.
    document: int | None = None


class ProblemDetails(Model, frozen=True, kw_only=True):
    """A refusal (RFC 9457)."""

    #: RFC 9457: what it means is said by `status` and `code`.
    type: str = "about:blank"
    #: The status in words.
    title: str
    status: int
    #: What happened, the deciding problem's text.
    detail: str
    #: The deciding problem's code.
    code: str
    problems: tuple[ProblemLine, ...] = ()
    #: X-Request-Id of the request.
    request: str
    #: Receipt id, where the request was received as a deposit or an event.
    receipt: str | None = None
    #: Joins an internal error to its line in the log.
    reference: str | None = None


_encode: Final = msgspec.json.Encoder().encode


def deciding(refused: Refused) -> Problem:
    """Return the problem that decides: the first error, else the first."""
    return next((p for p in refused.problems if p.severity is Severity.ERROR), refused.problems[0])


def status_of(refused: Refused) -> int:
    """Return the status of a refusal."""
    return refused.status or CODES[deciding(refused).code].http


def lines(problems: tuple[Problem, ...]) -> tuple[ProblemLine, ...]:
    """Return problems as an answer tells them."""
    return tuple(
        ProblemLine(
            code=problem.code,
            severity=problem.severity.value,
            text=CODES[problem.code].text,
            advice=CODES[problem.code].advice,
            place=str(problem.place) if problem.place else None,
            detail=problem.detail or None,
            document=problem.document,
        )
        for problem in problems
    )


def details(refused: Refused, request_id: str) -> ProblemDetails:
    """Return a refusal as problem details."""
    first, status = deciding(refused), status_of(refused)
    return ProblemDetails(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=CODES[first.code].text,
        code=first.code,
        problems=lines(refused.problems),
        request=request_id,
        receipt=refused.receipt or None,
        reference=refused.reference or None,
    )


def render(refused: Refused, request_id: str) -> Reply:
    """Write a refusal as problem+json."""
    body = msgspec.to_builtins(details(refused, request_id))
    return Reply(
        status=status_of(refused),
        body=_encode({"type": "about:blank", **body}),
        content_type=PROBLEM_JSON,
        headers=refused.headers,
    )
