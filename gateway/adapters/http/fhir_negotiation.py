"""
What a FHIR client asks of the form of its answer: Accept, `_format`, Prefer, If-None-Exist.

Source: HL7 FHIR R4, http; RFC 9110 § 12; RFC 7240.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from gateway.adapters.http.call import Call, Refused
from gateway.model.place import Place
from gateway.model.problem import Problem

FHIR_JSON: Final = "application/fhir+json"
JSON: Final = "application/json"
#: What bodies are taken in.
CONSUMES: Final = (FHIR_JSON, JSON)

#: `_format` → the media type of the answer.
_FORMATS: Final[Mapping[str, str]] = {"json": FHIR_JSON, "application/fhir+json": FHIR_JSON, "application/json": JSON}
#: A range of `Accept` → the media type of the answer. Source: HL7 FHIR R4, http (content types); the DSTU2 name is still sent.
_RANGES: Final[Mapping[str, str]] = {
    FHIR_JSON: FHIR_JSON,
    "*/*": FHIR_JSON,
    "application/*": FHIR_JSON,
    "application/json+fhir": FHIR_JSON,
    JSON: JSON,
}
_VERSIONS: Final = frozenset({"4.0", "4.0.1", "4"})
_UTF8: Final = frozenset({"utf-8", "utf8"})
_RETURNS: Final = frozenset({"minimal", "representation", "OperationOutcome"})

_WEIGHT: Final = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)


def answer_type(call: Call) -> str:
    """
    Return the media type of the answer; asked before anything is done.

    Raises:
        Refused: HTTP_NOT_ACCEPTABLE: none of what is asked for is offered (406); HTTP_TYPE_UNSUPPORTED: the body is of another
            FHIR version or charset (415).
    """
    _check_body(call)
    asked = [value for name, value in call.query if name == "_format"]
    if asked:
        found = _FORMATS.get(asked[-1].strip().lower().replace(" ", "+"))  # a bare + in a query is a space
        if found is None:
            raise Refused(Problem(code="HTTP_NOT_ACCEPTABLE", place=Place(path="query:_format")))
        return found
    accept = call.headers.get("accept", "").strip()
    if not accept:
        return FHIR_JSON
    ranges = [weighed for each in accept.split(",") if (weighed := _weighed(each)) is not None]
    if not ranges:
        raise Refused(Problem(code="HTTP_NOT_ACCEPTABLE", place=Place(path="header:Accept")))
    return max(ranges, key=lambda weighed: weighed[0])[1]


def returns(call: Call) -> str | None:
    """Return what the client prefers in the answer: `minimal`, `representation`, `OperationOutcome`, or None (RFC 7240)."""
    for token in call.headers.get("prefer", "").split(","):
        name, _, value = token.partition(";")[0].partition("=")
        wanted = value.strip().strip('"')
        if name.strip().lower() == "return" and wanted in _RETURNS:
            return wanted
    return None


def unless_there(call: Call) -> tuple[str, str] | None:
    """
    Return the identifier (system, value) that If-None-Exist names, or None without that header.

    Raises:
        Refused: CONDITION_UNSUPPORTED: it asks for anything but one identifier with its system.
    """
    header = call.headers.get("if-none-exist")
    if header is None:
        return None
    pairs = parse_qsl(header.rpartition("?")[2], keep_blank_values=True)
    system, bar, value = pairs[0][1].partition("|") if len(pairs) == 1 and pairs[0][0] == "identifier" else ("", "", "")
    if not (system and bar and value) or "," in value:
        raise unsupported()
    return system, value


def unsupported() -> Refused:
    """Return the refusal of a condition that is not tested here."""
    return Refused(Problem(code="CONDITION_UNSUPPORTED", place=Place(path="header:If-None-Exist")))


def _check_body(call: Call) -> None:
    parameters = call.media_type.parameters
    version = parameters.get("fhirversion", "4.0")
    if version not in _VERSIONS or parameters.get("charset", "utf-8").lower() not in _UTF8:
        raise Refused(Problem(code="HTTP_TYPE_UNSUPPORTED", detail="Content-Type: fhirVersion or charset"))


def _weighed(written: str) -> tuple[float, str] | None:
    """Return the weight of a range and the media type that answers it; None if it is not offered."""
    name, *parameters = (part.strip() for part in written.split(";"))
    found = _RANGES.get(name.lower())
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            weight = float(value.strip()) if _WEIGHT.fullmatch(value.strip()) else 0.0
        elif key.strip().lower() == "fhirversion" and value.strip().strip('"') not in _VERSIONS:
            found = None
    return (weight, found) if found is not None and weight > 0 else None
