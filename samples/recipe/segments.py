"""The segments that every sample shares: MSH, PID, PV1, the document with its sender, the flags."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from recipe.cda import Document, render
from recipe.er7 import msh, segment
from recipe.people import AUBIER, INS_TEST_ROOT, VALMONT, Establishment, Patient, Professional

VOLET: Final = "2.1^CISIS_CDA_HL7_V2"
PAM: Final = "2.11^IHE_FRANCE-2.11-PAM"

#: The flags in the order of the volet, and their French labels.
FLAGS: Final = {
    "MASQUE_PS": "Masqué aux professionnels de santé",
    "INVISIBLE_PATIENT": "Non visible par le patient",
    "INVISIBLE_REP_LEGAUX": "Non visible par les représentants légaux",
    "CONNEXION_SECRETE": "Connexion secrète",
    "MODIF_CONF_CODE": "Modification de la confidentialité",
    "DESTDMP": "Destinataire DMP",
    "DESTMSSANTEPS": "Destinataire professionnel ou organisation",
    "DESTMSSANTEPAT": "Destinataire patient",
    "ACK_RECEPTION": "Accusé de réception",
    "ACK_LECTURE_MSS": "Accusé de lecture",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who sends: MSH-3 and the establishment, whose name is MSH-4."""

    application: str
    establishment: Establishment


GAM_V: Final = Source(application="GAM-V", establishment=VALMONT)
SIL_V: Final = Source(application="SIL-V", establishment=VALMONT)
RIS_V: Final = Source(application="RIS-V", establishment=VALMONT)
GAM_A: Final = Source(application="GAM-A", establishment=AUBIER)
DPI_A: Final = Source(application="DPI-A", establishment=AUBIER)
#: In the configuration, and admitted by no connection.
RIS_OLD: Final = Source(application="RIS-OLD", establishment=VALMONT)


def header(
    source: Source,
    kind: str,
    control_id: str,
    time: str,
    *,
    version: str,
    profile: str = "",
    charset: str = "UNICODE UTF-8",
    language: str = "",
) -> str:
    """
    Write MSH.

    Args:
        source: MSH-3 and MSH-4.
        kind: MSH-9.
        control_id: MSH-10.
        time: MSH-7.
        version: MSH-12.
        profile: MSH-21, empty for none.
        charset: MSH-18.
        language: MSH-19.

    Returns:
        The segment.

    Source: ANS Trans. CDA en HL7v2 2.1, MSH; PAM-FR 2.11.2.
    """
    fields = {
        3: source.application,
        4: source.establishment.namespace,
        5: "DMP-GATEWAY",
        6: source.establishment.namespace,
        7: time,
        9: kind,
        10: control_id,
        11: "P",
        12: version,
        17: "FRA",
        18: charset,
    }
    if language:
        fields[19] = language
    if profile:
        fields[21] = profile
    return msh(fields)


def ins_cx(matricule: str) -> str:
    """Return an INS of a test patient as PID-3 carries it."""
    return f"{matricule}^^^ASIP-SANTE-INS-NIR&{INS_TEST_ROOT}&ISO^INS"


def local_cx(value: str, where: Establishment, kind: str = "PI") -> str:
    """Return an identifier of an establishment's own authority, HD-3 `M`: the FINESS of the legal entity."""
    return f"{value}^^^{where.namespace}&{where.ej}&M^{kind}"


def pid(
    patient: Patient,
    where: Establishment,
    *,
    file_number: str,
    status: str = "VALI",
    ids: Iterable[str] | None = None,
    born: str | None = None,
    updated: str = "",
) -> str:
    """
    Write PID.

    Args:
        patient: Whose traits.
        where: Establishment whose IPP and file number are given.
        file_number: PID-18, the administrative file.
        status: PID-32.
        ids: PID-3, one text a repetition; the IPP and the INS unless given.
        born: PID-7 instead of the patient's birth date.
        updated: PID-33.

    Returns:
        The segment.

    Source: PAM-FR 2.11.2, PID.
    """
    if ids is None:
        ids = (local_cx(patient.local[where.id], where), ins_cx(patient.ins))
    names = [f"{patient.family}^{patient.given}^{patient.givens}^^^^L"]
    if patient.used_family:
        names.append(f"{patient.used_family}^{patient.given}^^^^^D")
    home = f"{' '.join(patient.street)}^^{patient.city}^^{patient.postcode}^FRA^H"
    fields = {
        1: "1",
        3: "~".join(ids),
        5: "~".join(names),
        7: patient.born if born is None else born,
        8: patient.sex,
        11: f"{home}~^^^^^^BDL^^{patient.birthplace[0]}",
        18: local_cx(file_number, where, "AN"),
        31: "N",
        32: status,
    }
    if updated:
        fields[33] = updated
    return segment("PID", fields)


def pv1(where: Establishment, visit: str, patient_class: str = "I") -> str:
    """Return PV1 of a stay; PV1-19 is the visit."""
    return segment("PV1", {1: "1", 2: patient_class, 19: local_cx(visit, where, "VN")})


def document_obx(document: Document, sequence: int, status: str, subtype: str) -> str:
    """
    Write the OBX that carries a document.

    Args:
        document: Which.
        sequence: OBX-1.
        status: OBX-11: F, C or D.
        subtype: OBX-5.2: `TEXT` in ORU, `text` in MDM.

    Returns:
        The segment.

    Source: ANS Trans. CDA en HL7v2 2.1, OBX-5.
    """
    return data_obx(document, sequence, status, subtype, base64.b64encode(render(document)).decode())


def data_obx(document: Document, sequence: int, status: str, subtype: str, data: str) -> str:
    """Return the same OBX with other data in OBX-5.5, for the messages that are wrong there."""
    return segment(
        "OBX",
        {1: str(sequence), 2: "ED", 3: type_ce(document), 5: f"^{subtype}^XML^Base64^{data}", 11: status},
    )


def type_ce(document: Document) -> str:
    """Return the type of a document as OBR-4 and OBX-3 carry it."""
    return f"{document.type[0]}^{document.type[1]}^LN"


def sender(who: Professional, where: Establishment) -> str:
    """Return the PRT of the sender (SB): the person in PRT-5, the site's FINESS in PRT-8.10."""
    person = f"{who.idnps}^{who.family}^{who.given}^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    site = f"{where.name}^^^^^ASIP-SANTE-ST&1.2.250.1.71.4.2.2&ISO^FINEG^^^{where.eg}"
    return segment("PRT", {2: "UC", 4: "SB^Send by^participation", 5: person, 8: site})


def mail_recipient(who: Professional, address: str) -> str:
    """Return the PRT of a recipient by secure mail (RCT)."""
    person = f"{who.idnps}^{who.family}^{who.given}^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    return segment("PRT", {2: "UC", 4: "RCT^Result Copies To^participation", 5: person, 15: f"^^X.400^{address}"})


def flags(first: int, data_type: str, raised: Iterable[str], without: str = "") -> list[str]:
    """
    Write the ten flags.

    Args:
        first: OBX-1 of the first.
        data_type: OBX-2: `CE` in ORU, `CWE` in MDM.
        raised: Codes at Y.
        without: A flag to leave out.

    Returns:
        One OBX a flag, in the order of the volet.

    Source: ANS Trans. CDA en HL7v2 2.1, MetaDMPMSS.
    """
    up = set(raised)
    kept = [(code, label) for code, label in FLAGS.items() if code != without]
    return [
        segment(
            "OBX",
            {
                1: str(n),
                2: data_type,
                3: f"{code}^{label}^MetaDMPMSS",
                5: f"{'Y' if code in up else 'N'}^^expandedYes-NoIndicator",
                11: "F",
            },
        )
        for n, (code, label) in enumerate(kept, start=first)
    ]
