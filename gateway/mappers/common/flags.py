"""The MetaDMPMSS flags of a deposit, whatever format they came in: what they may not say together, and what is unusual."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.mappers.common.checks import masked_and_hidden, severity_of
from gateway.mappers.common.findings import Findings
from gateway.model.place import Place
from gateway.model.submission import Act, Flags

#: Spellings of earlier versions of the volet.
SPELLINGS: Final[Mapping[str, str]] = {
    "INVISIBLE_REPRESENTANTS_LEGAUX": "INVISIBLE_REP_LEGAUX",
    "MODIF_CONFIDENTIALITYCODE": "MODIF_CONF_CODE",
    "ACK_LECTURE": "ACK_LECTURE_MSS",
}
_MAJORITY_YEARS: Final = 18


@dataclass(frozen=True, slots=True)
class FlagsReading:
    """
    The flags, and where each was written.

    Attributes:
        flags: Their values; False for one that is absent or unreadable.
        places: By code.
    """

    flags: Flags
    places: Mapping[str, Place]


def contradictions(reading: FlagsReading, act: Act | None, findings: Findings) -> None:
    """
    Find flags that may not stand together.

    Args:
        reading: The flags.
        act: What the message asks for; None: it does not say in one voice. A deletion always passes (D-4).
        findings: Takes FLAGS_FORBIDDEN.

    Source: EX_2.1-1050; P12.
    """
    flags = reading.flags
    masked_and_hidden(flags, reading.places.get("INVISIBLE_PATIENT"), act, findings)
    if flags.modif_conf_code and act not in {Act.REPLACE, None}:
        detail = "MODIF_CONF_CODE without a replacement"
        findings.add("FLAGS_FORBIDDEN", reading.places.get("MODIF_CONF_CODE"), detail, severity=severity_of(act))


def unusual(reading: FlagsReading, born: datetime | None, sent: datetime | None, findings: Findings) -> None:
    """
    Warn of flags that are rare enough to be a mistake; the document is taken.

    Args:
        reading: The flags.
        born: Birth of the patient, aware.
        sent: Date of the message, aware.
        findings: Takes FLAGS_UNUSUAL, at most once.
    """
    flags = reading.flags
    is_adult = born is not None and sent is not None and (sent - born).days >= _MAJORITY_YEARS * 365.25
    rows = (
        ("CONNEXION_SECRETE", flags.connexion_secrete and is_adult, "CONNEXION_SECRETE for this patient"),
        (
            "CONNEXION_SECRETE",
            flags.connexion_secrete and not flags.invisible_rep_legaux,
            "CONNEXION_SECRETE without INVISIBLE_REP_LEGAUX",
        ),
        ("INVISIBLE_REP_LEGAUX", flags.invisible_rep_legaux and is_adult, "INVISIBLE_REP_LEGAUX for this patient"),
        (
            "INVISIBLE_REP_LEGAUX",
            flags.invisible_rep_legaux and flags.invisible_patient,
            "INVISIBLE_REP_LEGAUX with INVISIBLE_PATIENT",
        ),
    )
    found = [(code, detail) for code, holds, detail in rows if holds]
    if found:
        findings.warn("FLAGS_UNUSUAL", reading.places.get(found[0][0]), "; ".join(detail for _, detail in found))
