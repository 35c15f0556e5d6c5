"""The situations told by ADT: oppositions, identity links, merges, and events of no concern."""

from recipe.adt import adt
from recipe.er7 import Sample, message, segment
from recipe.people import ADELE, BASTIEN, CHLOE, DALILA, VALMONT
from recipe.segments import GAM_A, ins_cx, local_cx


def _zfa(value: str, date: str) -> dict[int, str]:
    """Return ZFA with the opposition to feeding (9) and its date (10)."""
    fields = {1: "ACTIF", 2: "20260302", 9: value}
    if date:
        fields[10] = date
    return fields


def _sample(
    file: str,
    situation: str,
    lines: list[str],
    becomes: str,
    *,
    charset: str = "UNICODE UTF-8",
    answer: str = "AA",
    verdict: str = "applied",
    code: str = "",
    place: str = "",
    severity: str = "E",
    ins_wrong: bool = False,
) -> Sample:
    return Sample(
        file=f"adt/{file}",
        situation=situation,
        content=message(lines, charset),
        answer=answer,
        verdict=verdict,
        becomes=becomes,
        code=code,
        place=place,
        severity=severity,
        ins_wrong=ins_wrong,
    )


def _statements() -> list[Sample]:
    """Return what Adele told the CHU, in order: not opposed, opposed, still opposed, not opposed."""
    return [
        _sample(
            "01-a01-ino.er7",
            "A01: INO, not opposed, 02/03/2026",
            adt(
                "A01",
                "GAMV-0001",
                "20260302091500",
                ADELE,
                zfa=_zfa("INO", "20260302091500"),
                movement={},
            ),
            "statement kept; deposits pass",
        ),
        _sample(
            "02-a01-io.er7",
            "A01: IO, **opposed**, 10/03/2026, by the GAM under IPP and INS",
            adt(
                "A01",
                "GAMV-0002",
                "20260310083000",
                ADELE,
                zfa=_zfa("IO", "20260310083000"),
                movement={},
            ),
            "in force from its commit: every source of the CHU is refused (OPPOSED), the clinic is not",
        ),
        _sample(
            "03-a31-io-later.er7",
            "A31: IO, later than adt/02; 8859/1",
            adt(
                "A31",
                "GAMV-0003",
                "20260312140000",
                ADELE,
                structure="ADT_A05",
                zfa=_zfa("IO", "20260312140000"),
                charset="8859/1",
            ),
            "takes the place of adt/02; still opposed",
            charset="8859/1",
        ),
        _sample(
            "04-a01-ino-later.er7",
            "A01: INO, later than both IO",
            adt(
                "A01",
                "GAMV-0004",
                "20260316100000",
                ADELE,
                zfa=_zfa("INO", "20260316100000"),
                movement={},
            ),
            "the opposition is lifted; nothing comes back by itself, the sender may send again",
        ),
    ]


def _identities() -> list[Sample]:
    ipp = local_cx(BASTIEN.local["chu-valmont"], VALMONT)
    wrong = CHLOE.ins[:-2] + f"{int(CHLOE.ins[-2:]) + 1:02d}"
    foreign = "77-204^^^CH-LOINTAIN&990000075&M^PI"
    return [
        _sample(
            "05-a01-io-provisional.er7",
            "A01: IO under PROV, with the IPP and no INS",
            adt(
                "A01",
                "GAMV-0005",
                "20260304090000",
                BASTIEN,
                zfa=_zfa("IO", "20260304090000"),
                status="PROV",
                ids=(ipp,),
                movement={},
            ),
            "kept under the IPP; binds what comes under the INS once adt/06 links them",
        ),
        _sample(
            "06-a31-link.er7",
            "A31 under VALI with IPP and INS, no ZFA",
            adt("A31", "GAMV-0006", "20260305090000", BASTIEN, structure="ADT_A05"),
            "links IPP and INS: the IO of adt/05 binds the patient of the INS",
        ),
        _sample(
            "07-a01-io-wrong-ins.er7",
            "A01: IO, IPP beside an INS with a **wrong key**",
            adt(
                "A01",
                "GAMV-0007",
                "20260309110000",
                CHLOE,
                zfa=_zfa("IO", "20260309110000"),
                ids=(local_cx(CHLOE.local["chu-valmont"], VALMONT), ins_cx(wrong)),
                movement={},
            ),
            "kept under the IPP; the INS is left out",
            code="INS_UNQUALIFIED_DROPPED",
            place="PID^1^3^2",
            severity="W",
            ins_wrong=True,
        ),
        _sample(
            "08-a01-foreign-authority.er7",
            "A01: IO with an identifier of another establishment only",
            adt(
                "A01",
                "GAMV-0008",
                "20260309120000",
                DALILA,
                zfa=_zfa("IO", "20260309120000"),
                status="PROV",
                ids=(foreign,),
                movement={},
            ),
            "nobody to apply it to",
            answer="AE",
            verdict="rejected",
            code="EVENT_UNUSABLE",
            place="PID^1^3",
        ),
    ]


def _values_and_dates() -> list[Sample]:
    return [
        _sample(
            "09-a28-na.er7",
            "A28: NA, not collected; ASCII",
            adt(
                "A28",
                "GAMV-0009",
                "20260302120000",
                CHLOE,
                structure="ADT_A05",
                zfa=_zfa("NA", ""),
                charset="ASCII",
            ),
            "changes nothing: neither consent nor opposition",
            charset="ASCII",
        ),
        _sample(
            "10-a31-null.er7",
            'A31: `""` in ZFA-9',
            adt(
                "A31",
                "GAMV-0010",
                "20260313090000",
                ADELE,
                structure="ADT_A05",
                zfa=_zfa('""', "20260313090000"),
            ),
            "the statement stays, a person decides",
            code="ZFA_NULL",
            place="ZFA^1^9",
            severity="W",
        ),
        _sample(
            "11-a01-io-future.er7",
            "A01: IO dated 2062",
            adt(
                "A01",
                "GAMV-0011",
                "20260310150000",
                DALILA,
                zfa=_zfa("IO", "20620310150000"),
                movement={},
            ),
            "in force from its commit, ordered at its reception: a later INO lifts it",
        ),
        _sample(
            "12-a01-io-day.er7",
            "A01: IO with a day and no hour",
            adt("A01", "GAMV-0012", "20260311080000", CHLOE, zfa=_zfa("IO", "20260311"), movement={}),
            "a day counts as its end: opposed",
        ),
        _sample(
            "13-a31-ino-same-day.er7",
            "A31: INO of the same day as adt/12, at 17:00",
            adt(
                "A31",
                "GAMV-0013",
                "20260311170000",
                CHLOE,
                structure="ADT_A05",
                zfa=_zfa("INO", "20260311170000"),
            ),
            "goes to history: on one day the opposition wins",
        ),
        _sample(
            "14-a01-io-undated.er7",
            "A01: IO without ZFA-10",
            adt("A01", "GAMV-0014", "20260312080000", BASTIEN, zfa=_zfa("IO", ""), movement={}),
            "dated by EVN-2",
        ),
        _sample(
            "15-a01-io-clinic.er7",
            "A01: IO told to the other establishment (GAM-A)",
            adt(
                "A01",
                "GAMA-0001",
                "20260312090000",
                ADELE,
                source=GAM_A,
                zfa=_zfa("IO", "20260312090000"),
                movement={},
            ),
            "binds the clinic's deposits only",
        ),
    ]


def _others() -> list[Sample]:
    old = local_cx("100901", VALMONT)
    corrected = {4: "UPDATE", 6: "A01", 1: f"0002^{VALMONT.namespace}^{VALMONT.ej}^M"}
    iam = segment("IAM", {1: "1", 3: "00000^Allergie de test^L", 6: "A"})
    return [
        _sample(
            "16-a40-merge.er7",
            "A40: the file 100901 disappears into that of the patient",
            adt(
                "A40",
                "GAMV-0016",
                "20260317090000",
                ADELE,
                structure="ADT_A39",
                others=(segment("MRG", {1: old}),),
            ),
            "what was said under either number binds the one file",
        ),
        _sample(
            "17-a47-identifier.er7",
            "A47: the IPP 100902 becomes the one of PID-3",
            adt(
                "A47",
                "GAMV-0017",
                "20260317100000",
                BASTIEN,
                structure="ADT_A30",
                ids=(local_cx(BASTIEN.local["chu-valmont"], VALMONT),),
                others=(segment("MRG", {1: local_cx("100902", VALMONT)}),),
            ),
            "both numbers lead to the patient, and so does what was said under either",
        ),
        _sample(
            "18-a11-cancel.er7",
            "A11: admission cancelled, no ZFA",
            adt(
                "A11",
                "GAMV-0018",
                "20260318090000",
                ADELE,
                structure="ADT_A09",
                movement={4: "CANCEL", 6: "A01"},
            ),
            "the visit is cancelled, and with it what was said of consulting during it",
        ),
        _sample(
            "19-z99-correction.er7",
            "Z99: corrects the movement of adt/02, with ZFA",
            adt(
                "Z99",
                "GAMV-0019",
                "20260310094500",
                ADELE,
                structure="ADT_A01",
                zfa=_zfa("IO", "20260310084500"),
                movement=corrected,
            ),
            "its IO is taken like that of an A01",
        ),
        _sample(
            "20-a60-unknown.er7",
            "A60: an event of no concern to the record",
            adt("A60", "GAMV-0020", "20260318110000", DALILA, others=(iam,)),
            "acknowledged and ignored",
            verdict="ignored",
            code="EVENT_UNKNOWN",
            place="MSH^1^9",
            severity="I",
        ),
    ]


def samples() -> list[Sample]:
    """
    Write `adt/`.

    Returns:
        The samples; each patient's statements in the order of their dates.
    """
    return [*_statements(), *_identities(), *_values_and_dates(), *_others()]
