"""
The routes of `/fhir`: what is deposited or stated as FHIR, and what is said about this interface (docs/fhir.md).

A deposit waits for the record (D-16): 201 in the record, 200 nothing new, 202 where the client prefers not to wait,
OperationOutcome else. The same document through another door is the same deposit (D-6).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from gateway.adapters.http.call import Call, Refused, Reply
from gateway.adapters.http.caller import SOURCE_HEADER
from gateway.adapters.http.cda import MESSAGE_ID
from gateway.adapters.http.engine import Engine
from gateway.adapters.http.exchange import Settled
from gateway.adapters.http.fhir_negotiation import CONSUMES, FHIR_JSON, answer_type, returns, unless_there, unsupported
from gateway.adapters.http.openapi import refusal
from gateway.adapters.http.registry import Access, Answered, Parameter, Route, Style
from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import capability, consent, document_bundle, json, outcome, provide, response, simplified
from gateway.mappers.fhir.json import Loaded
from gateway.mappers.fhir.response import Created
from gateway.mappers.fhir.validate import warm_up
from gateway.model.outcome import Outcome
from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable
from gateway.model.source import Directory, Grant, Source
from gateway.model.submission import Submission

BASE: Final = "/fhir"

_MINIMAL: Final = "minimal"
_REPRESENTATION: Final = "representation"
_OUTCOME: Final = "OperationOutcome"
_ACCEPTED: Final = 202

#: A statement that is noted and not in force, or kept under fewer identifiers than it came with: whoever stated it must see that.
_LOUD: Final = frozenset(
    {
        "STATEMENT_SUPERSEDED",
        "ALLOWANCE_WITHOUT_EFFECT",
        "INS_UNQUALIFIED_DROPPED",
        "IDENTIFIER_FOREIGN",
        "FIELD_INVALID",
    }
)

_QUEUED: Final = "L'envoi est en sécurité ; le dossier n'a pas encore décidé."
_ASK: Final = "Ask at the address of Content-Location what became of it."

_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9._~:+/=-]{1,199}", re.ASCII)

_MATRICULE: Final = re.compile(r"[1-9]\d{4}(?:\d\d|2[ABab])\d{6}", re.ASCII)

#: What a body is that could not be read.
_NOTHING: Final = Loaded({}, {}, (), b"")

Reader = Callable[[Loaded, Source, Directory, str], Read]


def render(refused: Refused, request_id: str) -> Reply:
    """Write a refusal as an OperationOutcome; the request's id joins it to the log."""
    problems = refused.problems
    if refused.reference:
        reference = f"reference {refused.reference}"
        problems = tuple(msgspec.structs.replace(problem, detail=problem.detail or reference) for problem in problems)
    found = outcome.outcome(problems)
    named = (("X-Request-Id", request_id),) if request_id else ()
    return Reply(
        status=refused.status or outcome.status_of(problems),
        body=response.encoded(found),
        content_type=FHIR_JSON,
        headers=(*refused.headers, *named),
    )


class FhirRoutes:
    """The routes of `/fhir`."""

    def __init__(self, engine: Engine, directory: Directory, *, version: str, started_at: datetime) -> None:
        """
        Take what requests go through, and load the models of what they carry.

        Args:
            engine: Where deposits and events go.
            directory: Every establishment.
            version: Of the software.
            started_at: When what is served last changed.
        """
        self._engine = engine
        self._directory = directory
        self._version = version
        self._started_at = started_at
        # The models are loaded at their first use: now, while nobody waits.
        warm_up()

    def routes(self) -> tuple[Route, ...]:
        """Return the table's rows."""
        return (
            self._post(
                "", "fhir.transaction", "Provide documents with their metadata (ITI-65).", self.transaction, Grant.DEPOSIT
            ),
            self._post(
                "/DocumentReference",
                "fhir.documentreference",
                "Deposit one document (ITI-105, Simplified Publish).",
                self.document_reference,
                Grant.DEPOSIT,
                parameters=(_IF_NONE_EXIST,),
            ),
            self._post(
                "/Bundle",
                "fhir.bundle",
                "Deposit a FHIR document: a Bundle of type document.",
                self.bundle,
                Grant.DEPOSIT,
                parameters=(_IF_NONE_EXIST,),
            ),
            self._post("/Consent", "fhir.consent", "State an opposition, or lift it.", self.consent),
            Route(
                method="GET",
                path=f"{BASE}/metadata",
                name="fhir.metadata",
                summary="CapabilityStatement: what this interface serves.",
                access=Access.PUBLIC,
                handler=self.metadata,
                answers=(
                    Answered(
                        status=200, text="The CapabilityStatement.", types=(FHIR_JSON,), schema=_resource("CapabilityStatement")
                    ),
                    refusal(Style.FHIR, 406, "JSON is the only format."),
                ),
                parameters=(_FORMAT,),
                style=Style.FHIR,
            ),
        )

    def metadata(self, call: Call) -> Reply:
        """Say what is served (CapabilityStatement)."""
        kind = answer_type(call)
        served = [(route.method, route.path.removeprefix(BASE)) for route in self.routes()]
        body = capability.statement(served, version=self._version, at=self._started_at)
        return Reply(body=body, content_type=kind)

    def transaction(self, call: Call) -> Reply:
        """Take an ITI-65: all of it or nothing."""
        kind = answer_type(call)
        if "if-none-exist" in call.headers or "if-match" in call.headers:
            raise unsupported()
        loaded, read, settled = self._settle(call, "FHIR^Transaction", provide.read)
        if settled.status == _ACCEPTED:
            return _accepted(settled, kind)
        submission, decided = _taken(read, settled)
        body = response.transaction(
            loaded.tree, submission, decided, settled.problems, representation=returns(call) == _REPRESENTATION
        )
        return Reply(status=200, body=body, content_type=kind)

    def document_reference(self, call: Call) -> Reply:
        """Take an ITI-105."""
        return self._created(call, "DocumentReference", simplified.read, "masterIdentifier")

    def bundle(self, call: Call) -> Reply:
        """Take a FHIR document."""
        return self._created(call, "Bundle", document_bundle.read, "identifier")

    def consent(self, call: Call) -> Reply:
        """Take an opposition or its lifting: answered once it is committed (D-2)."""
        kind = answer_type(call)
        if "if-none-exist" in call.headers:
            raise unsupported()
        loaded, _, settled = self._settle(call, "FHIR^Consent", consent.read)
        if settled.outcome is None:
            return _accepted(settled, kind)
        created = response.whole(settled.outcome, "Consent")
        return _written(call, kind, created, settled, response.as_created(loaded.tree, created))

    def _created(self, call: Call, resource_type: str, reader: Reader, identifier: str) -> Reply:
        kind = answer_type(call)
        condition = unless_there(call)
        loaded, read, settled = self._settle(call, f"FHIR^{resource_type}", reader, condition=condition, identifier=identifier)
        if settled.status == _ACCEPTED:
            return _accepted(settled, kind)
        submission, decided = _taken(read, settled)
        created = response.document(decided, 0, resource_type)
        # A document is what it is: it is shown as it was signed.
        entry = submission.documents[0].entry
        shown = None if resource_type == "Bundle" else response.as_created(loaded.tree, created, entry)
        return _written(call, kind, created, settled, shown)

    def _settle(
        self,
        call: Call,
        message_type: str,
        reader: Reader,
        *,
        condition: tuple[str, str] | None = None,
        identifier: str = "",
    ) -> tuple[Loaded, Read, Settled]:
        """Read a body and hand it over; a problem of a document without a place is told at the document."""
        failed, loaded = None, _NOTHING
        try:
            loaded = json.load(call.body)
        except Unreadable as unreadable:
            failed = unreadable
        try:
            with self._engine.exchange(call, message_type, _message_id(call, loaded)) as exchange:
                if failed is not None:
                    raise failed
                if foreign := _foreign_headers(call):
                    exchange.reject(foreign)
                if condition is not None and condition != _identifier(loaded, identifier):
                    exchange.reject(unsupported().problems)
                read = reader(loaded, call.source, self._directory, self._engine.environment)
                settled = exchange.settle(read)
        except Refused as refused:
            refused.problems = _placed(refused.problems, response.document_paths(loaded.tree))
            raise
        return loaded, read, settled

    def _post(
        self,
        path: str,
        name: str,
        summary: str,
        handler: Callable[[Call], Reply],
        *grants: Grant,
        parameters: Sequence[Parameter] = (),
    ) -> Route:
        kind = path.removeprefix("/") or "Bundle"
        answered = _resource(kind)
        good = [_good(200, "It was there before: nothing changed.", answered, Location="The resource.", ETag='W/"1"')]
        if path:
            good.append(_good(201, "In the record.", answered, Location="The resource.", ETag='W/"1"'))
        else:
            good = [_good(200, "A transaction-response.", answered)]
        refused = [
            refusal(Style.FHIR, 403, "The patient is opposed, or the source has no such right."),
            refusal(Style.FHIR, 406, "JSON is the only format."),
            refusal(Style.FHIR, 422, "The resource, its patient or its document is wrong; with places."),
        ]
        refused.append(refusal(Style.FHIR, 412, "A condition that is not tested here."))
        if grants:
            queued = {"Content-Location": "Where to ask.", "Retry-After": "Seconds."}
            text = "Durable, not decided yet (Prefer: respond-async), or parked."
            good.append(_good(202, text, _resource("OperationOutcome"), **queued))
            refused += [
                refusal(Style.FHIR, 404, "The patient has no record here."),
                refusal(Style.FHIR, 409, "Other content under this id, a stale version, or a closed record."),
            ]
        return Route(
            method="POST",
            path=f"{BASE}{path}",
            name=name,
            summary=summary,
            access=Access.SOURCE,
            grants=grants,
            handler=handler,
            consumes=CONSUMES,
            body_schema=answered,
            parameters=(*parameters, _FORMAT, _PREFER),
            answers=(*good, *refused),
            style=Style.FHIR,
        )


#: Those of ours that are read here.
_OWN_HEADERS: Final = frozenset({MESSAGE_ID.lower(), SOURCE_HEADER.lower()})
_FORMAT: Final = Parameter(name="_format", where="query", text="json, application/json or application/fhir+json: before Accept.")
_PREFER: Final = Parameter(
    name="Prefer", where="header", text="return=minimal, representation or OperationOutcome; respond-async: do not wait (202)."
)
_IF_NONE_EXIST: Final = Parameter(
    name="If-None-Exist",
    where="header",
    text="identifier=system|value, the document's own: what is there already is answered 200.",
)


def _resource(name: str) -> dict[str, Any]:
    """Return what OpenAPI says of a resource: FHIR's own schema is not repeated."""
    return {
        "type": "object",
        "description": f"FHIR R4 {name}.",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}},
    }


def _good(status: int, text: str, schema: dict[str, Any], **headers: str) -> Answered:
    return Answered(status=status, text=text, types=CONSUMES, schema=schema, headers=headers)


def _message_id(call: Call, loaded: Loaded) -> str:
    """
    Return the sender's own id of the request: the header that every format has, else the identifier of a Consent.

    A Consent that is sent again is recognised by it (D-6); a document has its uniqueId for that.
    """
    written = call.headers.get(MESSAGE_ID.lower(), "").strip()
    if written and not _MESSAGE_ID.fullmatch(written):
        raise Refused(Problem(code="FIELD_INVALID", place=Place(path=f"header:{MESSAGE_ID}")))
    if written or loaded.tree.get("resourceType") != "Consent":
        return written
    known = loaded.tree.get("identifier")
    first = known[0] if isinstance(known, list) and known else None
    value = first.get("value") if isinstance(first, dict) else None
    # It is shown in lists and lines: one that may be made of a matricule is not.
    fits = isinstance(value, str) and _MESSAGE_ID.fullmatch(value) and not _MATRICULE.search(value)
    return str(value) if fits else ""


def _foreign_headers(call: Call) -> tuple[Problem, ...]:
    """Return a problem for each header of `/cda` that says nothing here: what `DMP-Flags` should hide would be shown."""
    named = sorted(name for name in call.headers if name.startswith(("dmp-", "x-dmp-")) and name not in _OWN_HEADERS)
    return tuple(
        Problem(code="FIELD_INVALID", place=Place(path=f"header:{name}"), detail="not a header of /fhir: a securityLabel says it")
        for name in named
        if name.isascii()
    )


def _identifier(loaded: Loaded, name: str) -> tuple[str, str] | None:
    found = loaded.tree.get(name)
    return (str(found.get("system", "")), str(found.get("value", ""))) if isinstance(found, dict) else None


def _placed(problems: tuple[Problem, ...], documents: Sequence[str]) -> tuple[Problem, ...]:
    return tuple(
        msgspec.structs.replace(problem, place=Place(path=documents[problem.document]))
        if problem.place is None and problem.document is not None and problem.document < len(documents)
        else problem
        for problem in problems
    )


def _taken(read: Read, settled: Settled) -> tuple[Submission, Outcome]:
    if not isinstance(read.content, Submission) or settled.outcome is None:
        raise TypeError("what was settled is no submission")
    return read.content, settled.outcome


def _accepted(settled: Settled, kind: str) -> Reply:
    """Say that a request is ours and not decided (202): asked for, or parked."""
    found = outcome.outcome(settled.problems) if settled.problems else outcome.information(_QUEUED, _ASK)
    if settled.problems:
        found = outcome.OperationOutcome(issue=(*outcome.information(_QUEUED, _ASK).issue, *found.issue))
    return Reply(status=_ACCEPTED, body=response.encoded(found), content_type=kind, headers=settled.headers)


def _written(call: Call, kind: str, created: Created, settled: Settled, shown: Mapping[str, Any] | None) -> Reply:
    """
    Answer a create as its client prefers: the resource, nothing, or what was remarked.

    Args:
        call: The request.
        kind: Media type of the answer.
        created: What is there now.
        settled: Its decision, with what was remarked.
        shown: The resource as it was created; None: as it was sent.

    Source: HL7 FHIR R4, http (return preference).
    """
    headers = [("Location", f"{BASE}/{created.location}"), ("ETag", response.ETAG)]
    if created.last_modified is not None:
        headers.append(("Last-Modified", created.last_modified))
    wanted = returns(call)
    is_loud = wanted != _REPRESENTATION and created.type == "Consent" and any(one.code in _LOUD for one in settled.problems)
    if wanted == _MINIMAL and not is_loud:
        return Reply(status=created.status, headers=tuple(headers))
    if wanted == _OUTCOME or is_loud:
        body = response.encoded(outcome.outcome(settled.problems))
    else:
        body = call.body if shown is None else response.encoded(shown)
    return Reply(status=created.status, body=body, content_type=kind, headers=tuple(headers))
