"""Each reader as a door uses it: bytes in, and what was said of them."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Final

import msgspec

from gateway.adapters.mllp.frame import FrameError, FrameReader
from gateway.config.load import load
from gateway.mappers.cda.read import read as read_cda
from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import consent, document_bundle, provide, simplified
from gateway.mappers.fhir import json as fhir_json
from gateway.mappers.hl7v2.header import read_header
from gateway.mappers.hl7v2.read import read as read_er7
from gateway.model.outcome import Rejection
from gateway.model.problem import Severity, Unreadable
from gateway.model.source import Grant
from tests.security.hostile import er7, fhir, frame, json, xml
from tests.security.hostile.case import Case, sample


class Said(msgspec.Struct, frozen=True):
    """One reason: its code, and the path of its place."""

    code: str
    place: str


_DIRECTORY: Final = load(None, {}, {}).settings.directory
#: A source with every grant: what refuses is the content.
_PORTAL: Final = msgspec.structs.replace(
    next(source for source in _DIRECTORY.sources if Grant.IDENTITY_ASSERTED in source.grants), grants=frozenset(Grant)
)


def _frame(data: bytes) -> list[Said]:
    reader = FrameReader(frame.LIMIT_BYTES)
    found = reader.feed(data)
    last = reader.end()
    faults = [each for each in (*found, last) if isinstance(each, FrameError)]
    return [Said(each.fault, str(each.size)) for each in faults]


def _er7(data: bytes) -> list[Said]:
    try:
        header, message = read_header(data)
        source = _DIRECTORY.source(header.application, header.facility)
        if source is None:
            return [Said("SOURCE_UNKNOWN", "MSH-3")]
        reading = read_er7(message, header, source, _DIRECTORY, "test")
    except Unreadable as refused:
        return _of(refused)
    if not isinstance(reading.content, Rejection):
        return []
    return _of(Unreadable(*reading.content.problems))


def _cda(data: bytes) -> list[Said]:
    try:
        read_cda(data)
    except Unreadable as refused:
        return _of(refused)
    return []


def fhir_reader(loaded: fhir_json.Loaded) -> Callable[..., Read]:
    """Return what reads a resource, as its route does."""
    name, kind = loaded.tree.get("resourceType"), loaded.tree.get("type")
    if name == "Bundle" and kind == "document":
        return document_bundle.read
    if name == "DocumentReference":
        return simplified.read
    return consent.read if name == "Consent" else provide.read


def _fhir(data: bytes) -> list[Said]:
    try:
        loaded = fhir_json.load(data)
        found = fhir_reader(loaded)(loaded, _PORTAL, _DIRECTORY, "test")
    except Unreadable as refused:
        return _of(refused)
    return _of(Unreadable(*found.content.problems)) if isinstance(found.content, Rejection) else []


def _json(data: bytes) -> list[Said]:
    try:
        fhir_json.load(data)
    except Unreadable as refused:
        return _of(refused)
    return []


def _of(refused: Unreadable) -> list[Said]:
    errors = [problem for problem in refused.problems if problem.severity is Severity.ERROR]
    return [Said(problem.code, problem.place.outermost.path if problem.place else "") for problem in errors]


DOORS: Final[Mapping[str, Callable[[bytes], list[Said]]]] = {
    "frame": _frame,
    "er7": _er7,
    "cda": _cda,
    "json": _json,
    "fhir": _fhir,
}

#: What each must take, or its refusals would prove nothing.
HARMLESS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "frame": (b"\x0b" + er7.MESSAGE + b"\x1c\r",),
    "er7": (er7.MESSAGE, sample("mdm/01")),
    "cda": (xml.CDA.encode(), sample("cda/radio-bastien"), *(xml.inert())),
    "fhir": tuple(map(fhir.sample, fhir.HARMLESS)),
    "json": (b'{"resourceType":"Bundle","a":1.950,"b":["\\u00e9"]}',),
}


def cases() -> Iterator[Case]:
    """Every case of every door."""
    return chain(frame.streams(), er7.messages(), xml.documents(), json.bodies(), fhir.resources())
