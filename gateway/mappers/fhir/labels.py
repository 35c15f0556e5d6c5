"""
securityLabel into flags: who sees a document, and how confidential it is.

Source: PDSm 3.1, DocumentReference.securityLabel; JDV_J08; P12.
"""

from collections.abc import Sequence
from typing import Final

from gateway.mappers.common.checks import VISIBILITY
from gateway.mappers.common.findings import Findings
from gateway.mappers.common.flags import SPELLINGS, FlagsReading
from gateway.mappers.fhir.values import code
from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code
from gateway.model.place import Place
from gateway.model.submission import Flags

_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_LEVELS: Final = frozenset({"N", "R", "V"})
#: Systems that the guide's own examples write for both lists; the code tells which is meant.
_MISSPELT: Final = ("TRE_A07-StatusVisibiliteDocument", "TRE_A07-StatutVisibiliteDocument")
_FLAGS: Final = frozenset({"MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX"})


def read(reference: Node, index: int, findings: Findings, around: Sequence[Node] = ()) -> tuple[FlagsReading, tuple[Code, ...]]:
    """
    Read the labels of a document: its securityLabel, and meta.security of whatever it comes in.

    Args:
        reference: The DocumentReference.
        index: Of the document.
        findings: Takes FLAG_INVALID: a label that nobody knows, or that has no code, could be a restriction.
        around: The other resources that carry it: the transaction, its SubmissionSet, the Binary.

    Returns:
        The flags and where each stands, and the levels of confidentiality (N, R, V).
    """
    raised: dict[str, Place] = {}
    levels: list[Code] = []
    labels = [("securityLabel", coding) for label in reference.all("securityLabel") for coding in _codings(label)]
    for node in (reference, *around):
        labels += [("meta.security", coding) for meta in node.all("meta") for coding in meta.all("security")]
    for element, coding in labels:
        found = code(coding)
        place = coding.place("code")
        name = None if found is None else SPELLINGS.get(found.code, found.code)
        system = (found.system if found is not None else None) or ""
        is_misspelt = any(each in system for each in _MISSPELT) or not system
        if name in _FLAGS and (system == VISIBILITY or is_misspelt):
            raised.setdefault(name, place)
        elif found is not None and found.code in _LEVELS and (system == _CONFIDENTIALITY or is_misspelt):
            levels.append(Code(code=found.code, system=_CONFIDENTIALITY, display=found.display))
        else:
            findings.add("FLAG_INVALID", place, element if found is not None else f"{element}: no code", document=index)
    flags = Flags(destdmp=True, **{name.lower(): True for name in raised})
    return FlagsReading(flags, raised), tuple(levels)


def _codings(label: Node) -> list[Node]:
    """Return the codings of a label; of one in words alone an empty one, which nobody knows."""
    return label.all("coding") or [Node({}, f"{label.path}.coding[0]")]


def together(readings: Sequence[FlagsReading], findings: Findings) -> FlagsReading:
    """Return the flags of a submission: its documents are shown and hidden alike (FLAGS_FORBIDDEN)."""
    if not readings:
        return FlagsReading(Flags(destdmp=True), {})
    first = readings[0]
    for index, one in enumerate(readings):
        if one.flags.visibility != first.flags.visibility:
            place = next(iter((*one.places.values(), *first.places.values())), None)
            findings.add("FLAGS_FORBIDDEN", place, "documents of one set with different visibility", document=index)
            break
    return first
