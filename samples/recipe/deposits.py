"""The messages that carry documents: MDM and ORU."""

from collections.abc import Iterable, Sequence
from typing import Final

from recipe import documents as d
from recipe.cda import Document
from recipe.er7 import Sample, message, segment
from recipe.people import ADELE, INTERNIST, VALMONT, Establishment
from recipe.segments import (
    DPI_A,
    RIS_V,
    SIL_V,
    VOLET,
    Source,
    document_obx,
    flags,
    header,
    mail_recipient,
    pid,
    pv1,
    sender,
    type_ce,
)

#: ORC-1, OBX-11 and the MDM event by act.
ACTS: Final = {"add": ("NW", "F", "T02"), "replace": ("RO", "C", "T10"), "delete": ("CA", "D", "T04")}


def oru(
    control_id: str,
    carried: Sequence[Document],
    *,
    act: str = "add",
    raised: Iterable[str] = ("DESTDMP",),
    source: Source = SIL_V,
    charset: str = "UNICODE UTF-8",
    note: str = "",
    recipients: Sequence[str] = (),
    without: str = "",
    pid_segment: str = "",
    time: str = "",
) -> list[str]:
    """
    Write an ORU^R01 with one or two documents.

    Args:
        control_id: MSH-10.
        carried: The documents; the first gives OBR-4, the patient and the sender.
        act: `add`, `replace` or `delete`.
        raised: Flags at Y.
        source: Who sends.
        charset: MSH-18.
        note: NTE-3 after OBR, none when empty.
        recipients: PRT segments after the sender's.
        without: A flag to leave out.
        pid_segment: PID instead of that of the first document's patient.
        time: MSH-7 instead of the first document's time.

    Returns:
        The segments.

    Source: ANS Trans. CDA en HL7v2 2.1, ORU^R01.
    """
    head, where = carried[0], source.establishment
    order, status, _ = ACTS[act]
    lines = [
        header(
            source,
            "ORU^R01^ORU_R01",
            control_id,
            time or head.time,
            version="2.5",
            profile=VOLET,
            charset=charset,
        ),
        pid_segment or _pid(head, where),
        pv1(where, f"V{head.number}"),
        segment("ORC", {1: order}),
        segment("OBR", {1: "1", 4: type_ce(head)}),
    ]
    if note:
        lines.append(segment("NTE", {1: "1", 3: note}))
    for n, document in enumerate(carried, start=1):
        lines += [document_obx(document, n, status, "TEXT"), sender(document.author, where), *recipients]
    return lines + flags(len(carried) + 1, "CE", raised, without)


def mdm(
    control_id: str,
    document: Document,
    *,
    act: str = "add",
    raised: Iterable[str] = ("DESTDMP",),
    source: Source = RIS_V,
    time: str = "",
) -> list[str]:
    """
    Write an MDM^T02, T10 or T04.

    Args:
        control_id: MSH-10.
        document: The document; TXA-12 and TXA-13 come from it.
        act: `add`, `replace` or `delete`.
        raised: Flags at Y.
        source: Who sends.
        time: MSH-7 and EVN instead of the document's time.

    Returns:
        The segments.

    Source: ANS Trans. CDA en HL7v2 2.1, MDM.
    """
    where, sent = source.establishment, time or document.time
    order, status, event = ACTS[act]
    txa = {1: "1", 2: document.type[0], 3: "TEXT", 4: document.time, 12: document.id, 17: "AU"}
    if act == "replace" and document.replaces:
        txa[13] = document.replaces.id
    return [
        header(source, f"MDM^{event}^MDM_T02", control_id, sent, version="2.6", profile=VOLET),
        segment("EVN", {2: sent, 6: sent}),
        _pid(document, where),
        pv1(where, f"V{document.number}"),
        segment("ORC", {1: order}),
        segment("OBR", {1: "1", 4: type_ce(document)}),
        segment("TXA", txa),
        document_obx(document, 1, status, "text"),
        sender(document.author, where),
        *flags(2, "CWE", raised),
    ]


def _pid(document: Document, where: Establishment) -> str:
    return pid(document.patient, where, file_number=f"26{document.number:06d}")


def _sample(file: str, situation: str, lines: Sequence[str], becomes: str, *, charset: str = "UNICODE UTF-8") -> Sample:
    return Sample(
        file=file,
        situation=situation,
        content=message(lines, charset),
        answer="AA",
        verdict="stored",
        becomes=becomes,
    )


def _mdm_samples() -> list[Sample]:
    v1, v2 = d.RADIO_1, d.RADIO_1_V2
    return [
        _sample(
            "mdm/01-t02-radiology.er7",
            "MDM^T02: new radiology report, CDA level 1 (PDF), by the RIS",
            mdm("RISV-0001", v1),
            "version 1",
        ),
        _sample(
            "mdm/02-t10-replacement.er7",
            "MDM^T10: replaces mdm/01: new id, same setId, version 2, RPLC, TXA-13",
            mdm("RISV-0002", v2, act="replace"),
            "version 2; version 1 goes to history",
        ),
        Sample(
            file="mdm/03-t04-deletion.er7",
            situation="MDM^T04: deletes the last version (mdm/02), whose CDA it carries unchanged",
            content=message(mdm("RISV-0003", v2, act="delete", time="20260305090000+0100")),
            answer="AA",
            verdict="deleted",
            becomes="the document is marked deleted",
        ),
        _sample(
            "mdm/04-t02-level-3.er7",
            "MDM^T02: radiology report, CDA level 3 (structured sections, one act)",
            mdm("RISV-0004", d.RADIO_2),
            "with its entries",
        ),
        _sample(
            "mdm/05-other-establishment.er7",
            "MDM^T02: discharge letter of the other establishment (DPI-A) for the patient of mdm/01",
            mdm("DPIA-0001", d.LETTER_1, source=DPI_A),
            "an opposition told to the CHU does not bind the clinic",
        ),
    ]


def _oru_samples() -> list[Sample]:
    both = ("DESTDMP", "MASQUE_PS", "INVISIBLE_PATIENT")
    mail = mail_recipient(INTERNIST, "ines.modele@clinique-aubier.mssante.example")
    return [
        _sample(
            "oru/01-new-report.er7",
            "ORU^R01: new laboratory report, CDA level 3, by the SIL",
            oru("SILV-0001", [d.BIO_1]),
            "version 1, with its entries",
        ),
        _sample(
            "oru/02-replacement.er7",
            "ORU^R01, RO and C: replaces oru/01: new id, same setId, version 2",
            oru("SILV-0002", [d.BIO_1_V2], act="replace"),
            "version 2; version 1 goes to history",
        ),
        Sample(
            file="oru/03-deletion.er7",
            situation="ORU^R01, CA and D: deletes the last version (oru/02)",
            content=message(oru("SILV-0003", [d.BIO_1_V2], act="delete", time="20260305093000+0100")),
            answer="AA",
            verdict="deleted",
            becomes="the document is marked deleted; passes in spite of an opposition",
        ),
        _sample(
            "oru/04-two-documents.er7",
            "ORU^R01: level 3 and level 1 of the same content, each its own id",
            oru("SILV-0004", [d.BIO_PAIR_3, d.BIO_PAIR_1]),
            "one submission, two documents",
        ),
        _sample(
            "oru/05-second-report.er7",
            "ORU^R01: second report for the patient of oru/01; ACK_RECEPTION=Y; 8859/15 with a euro sign and œ",
            oru(
                "SILV-0005",
                [d.BIO_2],
                raised=("DESTDMP", "ACK_RECEPTION"),
                charset="8859/15",
                note="Examen hors nomenclature, 12 € réglés ; sœur de la patiente présente.",
            ),
            "ZAM^Z01 `Y`; after adt/02 refused: OPPOSED, ZAM^Z01 `N`",
            charset="8859/15",
        ),
        _sample(
            "oru/06-business-ack.er7",
            "ORU^R01: ACK_RECEPTION=Y",
            oru("SILV-0006", [d.BIO_ACK], raised=("DESTDMP", "ACK_RECEPTION")),
            "a ZAM^Z01 `Y` goes back to SIL-V",
        ),
        Sample(
            file="oru/07-not-for-the-dmp.er7",
            situation="ORU^R01: DESTDMP=N, secure mail only",
            content=message(oru("SILV-0007", [d.BIO_MAIL], raised=("DESTMSSANTEPS",), recipients=(mail,))),
            answer="AA",
            verdict="ignored",
            becomes="nothing goes to the store",
        ),
        _sample(
            "oru/08-masked.er7",
            "ORU^R01: MASQUE_PS=Y",
            oru("SILV-0008", [d.BIO_MASKED], raised=("DESTDMP", "MASQUE_PS")),
            "read by its author, the patient and the treating doctor only",
        ),
        _sample(
            "oru/09-before-announcement.er7",
            "ORU^R01: INVISIBLE_PATIENT=Y",
            oru("SILV-0009", [d.BIO_HIDDEN], raised=("DESTDMP", "INVISIBLE_PATIENT")),
            "shown to the patient after the announcement, or one month",
        ),
        Sample(
            file="oru/10-flags-forbidden.er7",
            situation="ORU^R01: MASQUE_PS=Y and INVISIBLE_PATIENT=Y together",
            content=message(oru("SILV-0010", [d.BIO_BOTH], raised=both)),
            answer="AE",
            verdict="rejected",
            becomes="nobody could read it",
            code="FLAGS_FORBIDDEN",
            place="OBX",
        ),
        _sample(
            "oru/11-self-rendering.er7",
            "ORU^R01: self-rendering document: its root is xsl:stylesheet, the CDA stands in `Contenu`",
            oru("SILV-0011", [d.BIO_SELF]),
            "as application/xslt+xml; the stylesheet is never run",
        ),
        _plain_results(),
    ]


def _plain_results() -> Sample:
    def result(n: int, kind: str, code: str, value: str, unit: str, reference: str, flag: str) -> str:
        return segment(
            "OBX",
            {
                1: str(n),
                2: kind,
                3: f"{code}^LN",
                5: value,
                6: f"{unit}^^UCUM",
                7: reference,
                8: flag,
                11: "F",
                14: "20260312081500+0100",
            },
        )

    time = "20260312110000+0100"
    lines = [
        header(SIL_V, "ORU^R01^ORU_R01", "SILV-0012", time, version="2.5"),
        pid(ADELE, VALMONT, file_number="26000400"),
        pv1(VALMONT, "V400"),
        segment("ORC", {1: "RE", 3: "L26-0400^SIL-V"}),
        segment(
            "OBR",
            {1: "1", 3: "L26-0400^SIL-V", 4: "24323-8^Bilan^LN", 7: time, 22: time, 24: "CH", 25: "F"},
        ),
        result(1, "NM", "2951-2^Sodium", "139", "mmol/L", "136-145", "N"),
        result(2, "NM", "2823-3^Potassium", "5.3", "mmol/L", "3.5-5.1", "H"),
        segment("NTE", {1: "1", 3: "Contrôlé sur un second prélèvement."}),
        result(3, "SN", "1988-5^Protéine C réactive", "<^1", "mg/L", "<5", "N"),
    ]
    return Sample(
        file="oru/12-plain-results.er7",
        situation="ORU^R01: numeric results, no document",
        content=message(lines),
        answer="AE",
        verdict="rejected",
        becomes="this version reads results in a CDA only",
        code="PLAIN_RESULTS",
        place="OBX^1^2",
    )


def samples() -> list[Sample]:
    """
    Write `mdm/` and `oru/`.

    Returns:
        The samples in the order in which they make sense: a replacement after what it replaces.
    """
    return [*_mdm_samples(), *_oru_samples()]
