"""
`POST /cda`: a CDA as it is, in base64, or as a part beside what its sender declares (docs/cda.md).

It waits for the record (D-16): 201 stored, 200 nothing new, 202 where the sender prefers not to wait, problem+json else. The same
document over MLLP is the same deposit (D-6).
"""

import re
from typing import Final

import msgspec

from gateway.adapters.http.call import Call, MediaType, Refused, Reply
from gateway.adapters.http.engine import Engine
from gateway.adapters.http.exchange import Settled
from gateway.adapters.http.multipart import Part, parts
from gateway.adapters.http.openapi import refusal
from gateway.adapters.http.problems import ProblemLine, lines
from gateway.adapters.http.registry import Access, Answered, Parameter, Route, Style
from gateway.mappers.cda.declared import FACTS, FLAGS, FLAGS_HEADER
from gateway.mappers.cda.submission import decoded, read
from gateway.model.base import Model
from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable
from gateway.model.source import Directory, Grant
from gateway.model.submission import Submission

#: The document itself.
XML_TYPES: Final = ("text/xml", "application/xml", "application/hl7-sda+xml", "application/xslt+xml")
BASE64: Final = "application/base64"
MULTIPART: Final = "multipart/form-data"
#: The parts of a multipart request: the document, and what is declared beside it.
DOCUMENT_PART: Final = "document"
SUBMISSION_PART: Final = "submission"

#: The sender's own id of a request.
MESSAGE_ID: Final = "DMP-Message-Id"
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9._~:+/=-]{1,199}", re.ASCII)

_JSON: Final = "application/json"
_ENCODING: Final = "content-transfer-encoding"
_AS_IT_IS: Final = frozenset({"", "7bit", "8bit", "binary"})
_QUEUED: Final = "queued"


class DocumentAnswer(Model, frozen=True, kw_only=True):
    """What became of the document."""

    #: uniqueId: ``root`` or ``root^extension``.
    unique_id: str
    #: None: not decided yet.
    verdict: str | None = None
    #: Number of the rule that decided.
    rule: str | None = None


class DepositAnswer(Model, frozen=True, kw_only=True):
    """A deposit that was taken."""

    #: Its id: `GET /deposits/{id}` tells what becomes of it.
    receipt: str
    #: `queued` until decided, then the verdict.
    state: str
    #: add, replace or delete: as declared, or as the document shows.
    act: str
    #: Number of the rule that decided.
    rule: str | None = None
    #: Of a duplicate: the id of the deposit that it repeats.
    first: str | None = None
    documents: tuple[DocumentAnswer, ...] = ()
    #: Warnings; the document was taken all the same.
    problems: tuple[ProblemLine, ...] = ()


class CdaRoutes:
    """The routes of `/cda`."""

    def __init__(self, engine: Engine, directory: Directory) -> None:
        """Keep what deposits go through, and every establishment."""
        self._engine = engine
        self._directory = directory

    def routes(self) -> tuple[Route, ...]:
        """Return the table's rows."""
        return (
            Route(
                method="POST",
                path="/cda",
                name="cda.deposit",
                summary="Deposit a CDA R2 document: add it, replace one by it, or delete it.",
                access=Access.SOURCE,
                grants=(Grant.DEPOSIT,),
                handler=self.deposit,
                consumes=(*XML_TYPES, BASE64, MULTIPART),
                body_schema={"type": "string", "format": "binary", "description": "The document, UTF-8 or as it declares."},
                parameters=_parameters(),
                answers=(
                    _answered(201, "In the record.", ("Location", "The deposit.")),
                    _answered(
                        200,
                        "Nothing new: a duplicate (the answer names the first deposit), or a deletion that was made.",
                        ("Location", "The deposit; of a duplicate the first one."),
                    ),
                    _answered(
                        202,
                        "Durable, not decided yet (Prefer: respond-async), or parked.",
                        ("Content-Location", "Where to ask."),
                        ("Retry-After", "Seconds."),
                    ),
                    refusal(Style.PROBLEM, 403, "The patient is opposed, or the source has no such right."),
                    refusal(Style.PROBLEM, 404, "The patient has no record here."),
                    refusal(Style.PROBLEM, 409, "Another document has this id, the version is stale, or the record is closed."),
                    refusal(Style.PROBLEM, 422, "The document, its patient or what is declared is wrong; with places."),
                ),
            ),
        )

    def deposit(self, call: Call) -> Reply:
        """
        Take a document.

        Raises:
            Refused: whatever is not a good answer.
        """
        sent = _sent(call)
        with self._engine.exchange(call, "CDA", _message_id(call)) as exchange:
            found = read(
                sent.document(),
                call.headers,
                sent.declared,
                call.source,
                self._directory,
                environment=self._engine.environment,
                charset=sent.charset,
            )
            settled = exchange.settle(found)
        if not isinstance(found.content, Submission):
            raise TypeError("what was settled is no submission")
        return _reply(settled, found.content)


class _Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carries."""

    body: bytes
    is_base64: bool
    #: Parameter of the document's media type.
    charset: str | None
    #: The part `submission`.
    declared: bytes | None = None

    def document(self) -> bytes:
        """
        Return the document's bytes.

        Raises:
            Unreadable: BASE64_INVALID, DOCUMENT_EMPTY.
        """
        content = decoded(self.body) if self.is_base64 else self.body
        if not content:
            raise Unreadable(Problem(code="DOCUMENT_EMPTY", place=Place(path="body")))
        return content


def _sent(call: Call) -> _Sent:
    """Return what a request carries; Refused where it is not of the form of its media type."""
    if call.media_type.name != MULTIPART:
        return _Sent(
            body=call.body,
            is_base64=_is_base64(call.media_type, call.headers.get(_ENCODING, "")),
            charset=call.media_type.parameters.get("charset"),
        )
    found = parts(call.body, call.media_type)
    document, declared = found.get(DOCUMENT_PART), found.get(SUBMISSION_PART)
    if document is None or found.keys() - {DOCUMENT_PART, SUBMISSION_PART}:
        raise Refused(Problem(code="HTTP_BODY_INVALID", detail=f"multipart: the parts {DOCUMENT_PART} and {SUBMISSION_PART}"))
    kind = document.media_type
    if kind.name not in {*XML_TYPES, BASE64}:
        raise Refused(Problem(code="HTTP_TYPE_UNSUPPORTED", detail=f"Content-Type of the part {DOCUMENT_PART}"))
    if declared is not None and (
        declared.media_type.name not in {_JSON, ""} or _is_base64(kind=None, encoding=_coding(declared))
    ):
        raise Refused(Problem(code="HTTP_TYPE_UNSUPPORTED", detail=f"the part {SUBMISSION_PART} is JSON"))
    return _Sent(
        body=document.content,
        is_base64=_is_base64(kind, _coding(document)),
        charset=kind.parameters.get("charset"),
        declared=None if declared is None else declared.content,
    )


def _coding(part: Part) -> str:
    return part.headers.get(_ENCODING, "")


def _is_base64(kind: MediaType | None, encoding: str) -> bool:
    """Tell whether what was sent is base64, by its type or its Content-Transfer-Encoding; Refused for any other coding."""
    coding = encoding.strip().lower()
    if coding not in {*_AS_IT_IS, "base64"}:
        raise Refused(Problem(code="HTTP_TYPE_UNSUPPORTED", detail="Content-Transfer-Encoding"))
    return coding == "base64" or (kind is not None and kind.name == BASE64)


def _message_id(call: Call) -> str:
    """Return the sender's own id of the request; Refused if it is none that a list could show."""
    written = call.headers.get(MESSAGE_ID.lower(), "").strip()
    if written and not _MESSAGE_ID.fullmatch(written):
        raise Refused(Problem(code="FIELD_INVALID", place=Place(path=f"header:{MESSAGE_ID}")))
    return written


def _reply(settled: Settled, submission: Submission) -> Reply:
    outcome = settled.outcome
    decided = {} if outcome is None else {document.unique_id: document for document in outcome.documents}
    documents = []
    for document in submission.documents:
        known = decided.get(document.entry.unique_id)
        documents.append(
            DocumentAnswer(
                unique_id=document.entry.unique_id,
                verdict=None if known is None else known.verdict.value,
                rule=None if known is None else known.rule,
            )
        )
    first = None if outcome is None else outcome.first
    answer = DepositAnswer(
        receipt=settled.receipt,
        state=_QUEUED if settled.verdict is None else settled.verdict.value,
        act=submission.act.value,
        rule=None if outcome is None else outcome.rule,
        first=first,
        documents=tuple(documents),
        problems=lines(settled.problems),
    )
    headers = settled.headers if settled.status == 202 else (("Location", f"/deposits/{first or settled.receipt}"),)
    return Reply(status=settled.status, body=msgspec.json.encode(answer), content_type=_JSON, headers=headers)


def _answered(status: int, text: str, *headers: tuple[str, str]) -> Answered:
    return Answered(status=status, text=text, types=(_JSON,), schema=DepositAnswer, headers=dict(headers))


def _parameters() -> tuple[Parameter, ...]:
    """Return the headers that declare what the document does not say."""
    facts = [
        Parameter(name=fact.header, where="header", text=fact.means, pattern=f"^{fact.form.pattern}$")
        for fact in FACTS
        if fact.header
    ]
    flags = Parameter(
        name=FLAGS_HEADER,
        where="header",
        text=f"Flags that are set, separated by commas: {', '.join(FLAGS)}.",
        pattern="^[A-Z_]+( *, *[A-Z_]+)*$",
    )
    message = Parameter(
        name=MESSAGE_ID,
        where="header",
        text="The sender's own id of the message, as MSH-10: shown in lists of deposits.",
        pattern=f"^{_MESSAGE_ID.pattern}$",
    )
    return (*facts, flags, message)
