"""
What the shared record asks of a document and its flags, whatever format they came in.

Source: D-4; P4, P9, P12.
"""

from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.model.code import Code
from gateway.model.place import Place
from gateway.model.problem import Severity
from gateway.model.source import Source
from gateway.model.submission import Act, Flags
from gateway.terminology import class_of

#: Code system of the codes that flags add to the document's confidentiality.
VISIBILITY: Final = "1.2.250.1.213.1.1.4.13"
_RESTRICTED: Final = frozenset({"R", "V"})


def severity_of(act: Act | None) -> Severity:
    """Return how bad it is: a deletion by the owner always passes, and is warned (D-4)."""
    return Severity.WARNING if act is Act.DELETE else Severity.ERROR


def type_taken(type_code: Code, place: Place | None, act: Act | None, document: int, findings: Findings) -> None:
    """
    Ask for a document type that the record takes.

    Args:
        type_code: Of the CDA.
        place: Where the type stands.
        act: What is asked for; None: it does not say in one voice.
        document: Index of the document.
        findings: Takes TYPE_NOT_DMP.

    Source: P4.
    """
    if class_of(type_code) is None:
        findings.add("TYPE_NOT_DMP", place, severity=severity_of(act), document=document)


def type_granted(
    type_code: Code, place: Place | None, source: Source, document: int, findings: Findings, *, act: Act | None
) -> None:
    """
    Ask for a document type that the source may deposit, where its configuration names types; a deletion always passes (D-4).

    Args:
        type_code: Of the CDA.
        place: Where the type stands.
        source: Who deposits.
        document: Index of the document.
        findings: Takes SOURCE_NOT_ALLOWED.
        act: As in `type_taken`.
    """
    if act is not Act.DELETE and source.document_types and type_code.code not in source.document_types:
        findings.add("SOURCE_NOT_ALLOWED", place, "document type", document=document)


def masked_and_hidden(flags: Flags, place: Place | None, act: Act | None, findings: Findings) -> None:
    """
    Find a document that neither professionals nor the patient could read.

    Args:
        flags: Of the submission.
        place: Where the second of the two flags stands.
        act: As in `type_taken`.
        findings: Takes FLAGS_FORBIDDEN.

    Source: EX_2.1-1050; P12.
    """
    if flags.masque_ps and flags.invisible_patient:
        findings.add("FLAGS_FORBIDDEN", place, "MASQUE_PS with INVISIBLE_PATIENT", severity=severity_of(act))


def restricted(codes: tuple[Code, ...], place: Place | None, act: Act | None, document: int, findings: Findings) -> None:
    """
    Find a document that its author marked restricted or very restricted, and that is sent to be shared.

    Args:
        codes: Confidentiality codes of the CDA itself.
        place: Where they stand.
        act: As in `type_taken`.
        document: Index of the document.
        findings: Takes FLAGS_FORBIDDEN.

    Source: P9.
    """
    if any(code.code in _RESTRICTED for code in codes):
        detail = "DESTDMP with a restricted confidentialityCode"
        findings.add("FLAGS_FORBIDDEN", place, detail, severity=severity_of(act), document=document)


def confidentiality(flags: Flags) -> tuple[Code, ...]:
    """Return the confidentiality codes that the flags add to each document. Source: volet 2.1, mapping."""
    rows = (
        (flags.masque_ps, "MASQUE_PS"),
        (flags.invisible_patient, "INVISIBLE_PATIENT"),
        (flags.invisible_rep_legaux, "INVISIBLE_REPRESENTANTS_LEGAUX"),
    )
    return tuple(Code(code=code, system=VISIBILITY) for holds, code in rows if holds)
