"""
What is answered where all went well: the transaction-response, and a resource as it was created.

Source: HL7 FHIR R4, http; IHE MHD, ITI-65 and ITI-105; D-6, D-16.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

import msgspec

from gateway.mappers.fhir.outcome import OperationOutcome, Resource, outcome
from gateway.model.code import Code
from gateway.model.document import DocumentEntry
from gateway.model.entry_id import entry_uuid, set_uuid
from gateway.model.outcome import DocumentOutcome, Outcome
from gateway.model.problem import Problem
from gateway.model.submission import Submission
from gateway.model.verdict import Verdict
from gateway.terminology import uri_of

#: Each resource of ours has one version: what changes it is a deposit of its own.
ETAG: Final = 'W/"1"'
_HISTORY: Final = "/_history/1"

_CREATED: Final = 201
_THERE: Final = 200
#: What was there before: nothing was created.
_NOT_NEW: Final = frozenset({Verdict.DUPLICATE, Verdict.UNCHANGED})
#: What a document is that came after the version that replaced it, or after its deletion: it went to the history (D-5).
_STATES: Final = {Verdict.REPLACED: "superseded", Verdict.DELETED: "entered-in-error"}

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class EntryResponse(Resource, frozen=True, kw_only=True):
    """HL7 FHIR R4, Bundle.entry.response."""

    status: str
    location: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    outcome: OperationOutcome | None = None


class Entry(Resource, frozen=True, kw_only=True):
    """HL7 FHIR R4, Bundle.entry of a transaction-response."""

    resource: Mapping[str, Any] | None = None
    response: EntryResponse


class TransactionResponse(Resource, frozen=True, kw_only=True, tag_field="resourceType", tag="Bundle"):
    """HL7 FHIR R4, Bundle."""

    type: str
    entry: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Created:
    """
    A resource that is in the record, as its client will know it.

    Attributes:
        type: Resource type.
        id: Its id: the same for whoever deposits the same document again.
        is_new: False: it was there before (D-6).
        at: When it was committed; None where it was there before, or that is not known.
        state: Status of a DocumentReference, where it is not the one that was sent.
    """

    type: str
    id: str
    is_new: bool
    at: datetime | None = None
    state: str | None = None

    @property
    def status(self) -> int:
        """HTTP status of its creation."""
        return _CREATED if self.is_new else _THERE

    @property
    def location(self) -> str:
        """Its address below the base."""
        return f"{self.type}/{self.id}{_HISTORY}"

    @property
    def last_modified(self) -> str | None:
        """As the header Last-Modified writes it."""
        return None if self.at is None else format_datetime(self.at.astimezone(UTC).replace(microsecond=0), usegmt=True)

    @property
    def last_updated(self) -> str | None:
        """As FHIR writes an instant."""
        return None if self.at is None else self.at.astimezone(UTC).isoformat(timespec="milliseconds")


def document(outcome_: Outcome, number: int, resource_type: str = "DocumentReference") -> Created:
    """
    Return the resource of a document of a submission that was taken.

    Args:
        outcome_: What became of the submission.
        number: Which of its documents, from 0.
        resource_type: `DocumentReference`, or `Binary` or `Bundle` for the document itself: both have one id.
    """
    one = outcome_.documents[number]
    is_new = one.verdict not in _NOT_NEW
    return Created(
        resource_type,
        entry_uuid(_receipt(outcome_, one), one.unique_id),
        is_new,
        _at(outcome_, is_new=is_new),
        _STATES.get(one.verdict),
    )


def whole(outcome_: Outcome, resource_type: str) -> Created:
    """Return the resource that stands for a whole receipt: the List of a submission set, a Consent."""
    is_new = outcome_.verdict not in _NOT_NEW
    receipt = outcome_.receipt if is_new or outcome_.first is None else outcome_.first
    return Created(resource_type, set_uuid(receipt), is_new, _at(outcome_, is_new=is_new))


def _receipt(outcome_: Outcome, one: DocumentOutcome) -> str:
    if one.verdict not in _NOT_NEW:
        return outcome_.receipt
    return one.first or outcome_.first or outcome_.receipt


def _at(outcome_: Outcome, *, is_new: bool) -> datetime | None:
    return datetime.fromisoformat(outcome_.committed_at) if is_new and outcome_.committed_at else None


def transaction(
    tree: Mapping[str, Any],
    submission: Submission,
    outcome_: Outcome,
    problems: Sequence[Problem],
    *,
    representation: bool = False,
) -> bytes:
    """
    Return the transaction-response of an ITI-65 that was taken.

    Args:
        tree: The transaction as received.
        submission: What was read of it: one document for each DocumentReference, in their order.
        outcome_: What became of it.
        problems: Warnings of the reading and of the record.
        representation: The client asks for the resources too: then the submission set and its documents' references are there.

    Returns:
        A Bundle with one entry for each of the request, in its order.

    Source: HL7 FHIR R4, http (transaction); IHE MHD, ITI-65.
    """
    entries: Sequence[Mapping[str, Any]] = tree["entry"]
    created = _created(entries, submission, outcome_)
    local = {str(entry.get("fullUrl")): f"{one.type}/{one.id}" for entry, one in zip(entries, created, strict=True) if one}
    numbers = _numbers(entries)
    told: dict[int, list[Problem]] = {}
    for problem in problems:
        told.setdefault(_concerned(problem, numbers, len(entries)), []).append(problem)
    answered = []
    for index, (entry, one) in enumerate(zip(entries, created, strict=True)):
        warned = outcome(told[index]) if index in told else None
        if one is None:
            unchanged = EntryResponse(status=str(_THERE), location=_patched(entry), outcome=warned)
            answered.append(Entry(response=unchanged))
            continue
        resource = None
        if representation and one.type in _SHOWN:
            number = numbers.get(index)
            described = None if number is None else submission.documents[number].entry
            resource = as_created(_relocated(entry["resource"], local), one, described)
        response = EntryResponse(
            status=str(one.status), location=one.location, etag=ETAG, last_modified=one.last_updated, outcome=warned
        )
        answered.append(Entry(resource=resource, response=response))
    return _ENCODER.encode(TransactionResponse(type="transaction-response", entry=tuple(answered)))


#: Resources that a transaction-response shows where they are asked for; the documents themselves were just sent.
_SHOWN: Final = frozenset({"List", "DocumentReference"})


def as_created(resource: Mapping[str, Any], created: Created, entry: DocumentEntry | None = None) -> dict[str, Any]:
    """
    Return a resource as it was created: with its id and version, a DocumentReference with what the record knows of its document.

    Args:
        resource: As received.
        created: Its id.
        entry: The document that a DocumentReference describes: its bytes are replaced by their address, size and hash, and
            what its sender left to the document's own header is filled in.

    Source: IHE MHD, ITI-105 (the DocumentReference as created).
    """
    given: Mapping[str, Any] = resource.get("meta") or {}
    meta = {**given, "versionId": "1"}
    meta.pop("lastUpdated", None)
    if created.last_updated is not None:
        meta["lastUpdated"] = created.last_updated
    shown = {"resourceType": resource["resourceType"], "id": created.id, "meta": meta}
    shown |= {name: value for name, value in resource.items() if name not in shown}
    if entry is not None and shown["resourceType"] == "DocumentReference":
        _complete(shown, entry, created.id)
        if created.state is not None:
            shown["status"] = created.state
    return shown


def encoded(resource: Mapping[str, Any] | Resource) -> bytes:
    """Return a resource as FHIR JSON; numbers keep their digits."""
    return _ENCODER.encode(resource)


def document_paths(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the FHIRPath of each document of a request, in their order, as far as its form allows it to be told."""
    kind, entries = tree.get("resourceType"), tree.get("entry")
    if kind != "Bundle" or not isinstance(entries, list) or tree.get("type") != "transaction":
        return (str(kind),) if kind in {"DocumentReference", "Bundle"} else ()
    resources = [entry.get("resource") if isinstance(entry, dict) else None for entry in entries]
    return tuple(
        f"Bundle.entry[{index}].resource"
        for index, resource in enumerate(resources)
        if isinstance(resource, dict) and resource.get("resourceType") == "DocumentReference"
    )


def _created(entries: Sequence[Mapping[str, Any]], submission: Submission, outcome_: Outcome) -> list[Created | None]:
    """Return what each entry created; None where it created nothing: a PATCH, a Patient, a folder, which the record has not."""
    numbers = _numbers(entries)
    contents = _contents(submission)
    found: list[Created | None] = []
    for index, entry in enumerate(entries):
        kind = str(entry["resource"]["resourceType"])
        if kind in {"Parameters", "Patient"} or (kind == "List" and _is_folder(entry["resource"])):
            found.append(None)
        elif index in numbers:
            found.append(document(outcome_, numbers[index]))
        elif index in contents:
            found.append(document(outcome_, contents[index], kind))
        else:
            found.append(whole(outcome_, kind))
    return found


def _numbers(entries: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Return which document each DocumentReference is, by the index of its entry."""
    references = (index for index, entry in enumerate(entries) if entry["resource"]["resourceType"] == "DocumentReference")
    return {index: number for number, index in enumerate(references)}


def _contents(submission: Submission) -> dict[int, int]:
    """Return which document each Binary or Bundle is, by the index of its entry: where the reader found it."""
    places = (submission.places.get(f"documents[{number}]") for number in range(len(submission.documents)))
    return {
        index: number
        for number, place in enumerate(places)
        if place is not None and (index := _entry_of(place.outermost.path)) is not None
    }


def _entry_of(path: str) -> int | None:
    """Return the index of the entry in which a place stands."""
    written = path.removeprefix("Bundle.entry[").partition("]")[0]
    return int(written) if path.startswith("Bundle.entry[") and written.isdecimal() else None


def _concerned(problem: Problem, numbers: Mapping[int, int], count: int) -> int:
    """Return the entry that a problem concerns: by its place, else by its document, else the first one."""
    index = _entry_of(problem.place.outermost.path) if problem.place is not None else None
    if index is not None and index < count:
        return index
    return next((index for index, number in numbers.items() if number == problem.document), 0)


def _patched(entry: Mapping[str, Any]) -> str | None:
    """Return what a PATCH named; None for another entry."""
    request = entry.get("request") or {}
    return str(request.get("url", "")) if request.get("method") == "PATCH" else None


def _is_folder(resource: Mapping[str, Any]) -> bool:
    """Tell it as the reader does: by the first coding."""
    codings = (resource.get("code") or {}).get("coding") or ()
    return any(coding.get("code") == "folder" for coding in codings[:1])


def _relocated(value: Any, local: Mapping[str, str]) -> Any:
    """Replace each urn of the transaction by the address that its resource has now, wherever it stands."""
    if isinstance(value, dict):
        return {name: _relocated(child, local) for name, child in value.items()}
    if isinstance(value, list):
        return [_relocated(child, local) for child in value]
    return local.get(value, value) if isinstance(value, str) else value


def _complete(shown: dict[str, Any], entry: DocumentEntry, identifier: str) -> None:
    """Fill in what the document itself says where the resource says nothing."""
    kind = "Bundle" if entry.mime_type == "application/fhir+json" else "Binary"
    contents = shown.get("content") or [{}]
    first = contents[0]
    given = {name: value for name, value in (first.get("attachment") or {}).items() if name not in {"data", "url"}}
    attachment = {
        "contentType": entry.mime_type,
        "language": entry.language,
        "title": entry.title,
        "creation": entry.creation_time.iso,
        **given,
        "url": f"{kind}/{identifier}",
        "size": entry.size,
        "hash": base64.b64encode(bytes.fromhex(entry.hash)).decode(),
    }
    content = {**first, "attachment": attachment}
    if entry.format_code is not None:
        content.setdefault("format", _coding(entry.format_code))
    shown["content"] = [content, *contents[1:]]
    shown.setdefault("type", _concept(entry.type_code))
    if entry.class_code is not None:
        shown.setdefault("category", [_concept(entry.class_code)])
    if entry.confidentiality_codes:
        shown.setdefault("securityLabel", [_concept(code) for code in entry.confidentiality_codes])
    _complete_context(shown, entry)


def _complete_context(shown: dict[str, Any], entry: DocumentEntry) -> None:
    context = dict(shown.get("context") or {})
    period = {"start": entry.service_start, "end": entry.service_stop}
    written = {name: when.iso for name, when in period.items() if when is not None}
    derived: dict[str, Any] = {
        "event": [_concept(code) for code in entry.event_codes],
        "period": written,
        "facilityType": _concept(entry.healthcare_facility_type),
        "practiceSetting": _concept(entry.practice_setting),
    }
    for name, value in derived.items():
        if value:
            context.setdefault(name, value)
    if context:
        shown["context"] = context


def _coding(code: Code) -> dict[str, str]:
    written = {"system": None if code.system is None else uri_of(code.system), "code": code.code, "display": code.display}
    return {name: value for name, value in written.items() if value is not None}


def _concept(code: Code | None) -> dict[str, Any]:
    return {} if code is None else {"coding": [_coding(code)]}
