"""Data types of FHIR into ours: dates, codes, identifiers; kept as written (D-21)."""

import re
from typing import Final

import msgspec

from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code, Identifier
from gateway.model.when import When
from gateway.terminology import oid_of

#: System of an identifier whose value is itself a URI.
URI_SYSTEM: Final = "urn:ietf:rfc:3986"
_URN_OID: Final = "urn:oid:"
_URN_UUID: Final = "urn:uuid:"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII)

_DATE: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d))?)?)?", re.ASCII)
_PERCENT: Final = re.compile("(?:%[0-9a-fA-F]{2})+", re.ASCII)
#: Digits of a second that are kept.
_FRACTION: Final = 9


def when(text: str | None) -> When | None:
    """
    Read a date, dateTime or instant.

    Args:
        text: As validated: ``YYYY[-MM[-DD[Thh:mm:ss[.f]zone]]]``.

    Returns:
        The value as written, its precision kept; None if there is none, or it is none that can be kept (year 0999).

    Source: HL7 FHIR R4, datatypes; D-21.
    """
    match = None if text is None else _DATE.fullmatch(text)
    if text is None or match is None:
        return None
    *parts, fraction, zone = match.groups()
    written = "".join(part for part in parts if part is not None)
    if fraction is not None:
        written += "." + fraction[:_FRACTION]
    if zone is not None:
        written += "+0000" if zone == "Z" else zone.replace(":", "")
    try:
        read = When.read(written)
    except ValueError:
        return None
    return msgspec.structs.replace(read, written=text)


def bare(uri: str | None) -> str | None:
    """Return an OID or UUID without its ``urn:``; any other URI as it is."""
    if uri is None:
        return None
    for prefix in (_URN_OID, _URN_UUID):
        if uri[: len(prefix)].casefold() == prefix:
            return uri[len(prefix) :]
    return uri


def is_oid(text: str | None) -> bool:
    """Tell whether a text is an OID."""
    return text is not None and _OID.fullmatch(text) is not None


def is_uuid(text: str | None) -> bool:
    """Tell whether a text is a UUID."""
    return text is not None and _UUID.fullmatch(text) is not None


def unique_id(system: str | None, value: str | None) -> str | None:
    """
    Return a uniqueId as a CDA gives it: ``root`` of a URI, ``root^extension`` of a value under a system.

    Args:
        system: Of the identifier; `urn:ietf:rfc:3986` says that the value is a URI.
        value: Of the identifier.

    Source: PDSm, DocumentReference.masterIdentifier; ANS, CDA to FHIR.
    """
    if value is None:
        return None
    if system is None or system == URI_SYSTEM:
        return bare(value)
    return f"{bare(system)}^{value}"


def same_id(one: str, other: str) -> bool:
    """Tell whether two uniqueIds are the same: of a UUID the case does not count."""
    return one == other or (is_uuid(one) and one.casefold() == other.casefold())


def identifier(node: Node | None) -> Identifier | None:
    """Return an Identifier, its system as a bare OID where it is one; None without a value."""
    value = node.text("value") if node is not None else None
    if node is None or value is None:
        return None
    system = node.text("system")
    coding = node.one("type", "coding")
    kind = None if coding is None else coding.text("code")
    if system == URI_SYSTEM:
        return Identifier(value=bare(value) or value, type=kind)
    return Identifier(value=value, authority=bare(system), type=kind)


def code(coding: Node | None) -> Code | None:
    """Return a Coding, its system as an OID where one is known, else as written; None without a code."""
    written = coding.text("code") if coding is not None else None
    if coding is None or written is None:
        return None
    system = coding.text("system")
    return Code(code=written, system=system if system is None else oid_of(system) or system, display=coding.text("display"))


def concept(node: Node | None) -> Code | None:
    """Return the first coding of a CodeableConcept that has a code."""
    codings = node.all("coding") if node is not None else []
    return next((found for coding in codings if (found := code(coding)) is not None), None)


def conditional(reference: str) -> tuple[str, str | None, str] | None:
    """
    Read a conditional reference: ``Type?identifier=system|value``.

    Returns:
        Type, system and value; None if it is another form of reference, or another search.

    Source: HL7 FHIR R4, http (transaction, conditional references).
    """
    kind, mark, query = reference.partition("?")
    name, equals, token = query.partition("=")
    if not mark or not equals or name != "identifier" or "&" in token or not kind.isalpha():
        return None
    system, bar, value = _decoded(token).rpartition("|")
    return (kind, system or None, value) if value and (bar or not system) else None


def _decoded(text: str) -> str:
    """Return a text of a URL without its percent-encoding (RFC 3986); what is no UTF-8 becomes the replacement character."""
    return _PERCENT.sub(lambda found: bytes.fromhex(found.group().replace("%", "")).decode("utf-8", "replace"), text)
