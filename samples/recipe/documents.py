"""The documents that the messages carry."""

from dataclasses import replace
from typing import Final

from recipe.cda import Document, Result
from recipe.people import (
    ADELE,
    AUBIER,
    BASTIEN,
    BIOLOGIST,
    CHLOE,
    DALILA,
    INTERNIST,
    RADIOLOGIST,
    VALMONT,
    Patient,
)

BIOLOGY: Final = ("11502-2", "CR d'examens biologiques")
IMAGING: Final = ("18748-4", "CR d'imagerie médicale")
LETTER: Final = ("11490-0", "Lettre de liaison à la sortie d'un établissement de soins")
#: A type of the national list that the DMP does not take.
ORAL: Final = ("28617-9", "Bilan bucco-dentaire")

_POTASSIUM: Final = ("2823-3", "Potassium [Moles/Volume] Sérum/Plasma", "mmol/L", "3.5", "5.1")
_CREATININE: Final = ("14682-9", "Créatinine [Moles/Volume] Sérum/Plasma", "umol/L", "45", "84")
_GLUCOSE: Final = ("14749-6", "Glucose [Moles/Volume] Sérum/Plasma", "mmol/L", "3.9", "5.8")
_TSH: Final = ("3016-3", "Thyréostimuline [Arbitraire/Volume] Sérum/Plasma", "m[IU]/L", "0.27", "4.20")


def _result(of: tuple[str, str, str, str, str], value: str, interpretation: str = "N") -> Result:
    code, label, unit, low, high = of
    return Result(code=code, label=label, unit=unit, low=low, high=high, value=value, interpretation=interpretation)


def _biology(name: str, number: int, time: str, patient: Patient, *results: Result) -> Document:
    return Document(
        name=name,
        number=number,
        kind="biology",
        type=BIOLOGY,
        title="Compte rendu d'examens biologiques",
        time=time,
        patient=patient,
        author=BIOLOGIST,
        organization=VALMONT,
        lines=("Biochimie",),
        results=results,
    )


RADIO_1: Final = Document(
    name="radio-adele-v1",
    number=101,
    kind="level 1",
    type=IMAGING,
    title="Radiographie du thorax",
    time="20260303101500+0100",
    patient=ADELE,
    author=RADIOLOGIST,
    organization=VALMONT,
    lines=("Pas de foyer parenchymateux.", "Silhouette cardiaque normale."),
)
RADIO_1_V2: Final = replace(
    RADIO_1,
    name="radio-adele-v2",
    number=102,
    time="20260304091000+0100",
    lines=("Opacité de la base droite, à contrôler.", "Silhouette cardiaque normale."),
    replaces=RADIO_1,
)
RADIO_2: Final = Document(
    name="radio-bastien",
    number=103,
    kind="imaging",
    type=IMAGING,
    title="Radiographie du thorax",
    time="20260305143000+0100",
    patient=BASTIEN,
    author=RADIOLOGIST,
    organization=VALMONT,
    lines=("Parenchyme pulmonaire sans anomalie. Pas d'épanchement.", "Examen normal."),
)

BIO_1: Final = _biology(
    "bio-adele-v1",
    201,
    "20260303160000+0100",
    ADELE,
    _result(_POTASSIUM, "5.6", "H"),
    _result(_CREATININE, "71"),
)
BIO_1_V2: Final = replace(
    BIO_1,
    name="bio-adele-v2",
    number=202,
    time="20260304083000+0100",
    results=(_result(_POTASSIUM, "4.6"), _result(_CREATININE, "71")),
    replaces=BIO_1,
)
BIO_2: Final = _biology("bio-adele-second", 203, "20260311160000+0100", ADELE, _result(_GLUCOSE, "5.1"))
BIO_PAIR_3: Final = _biology(
    "bio-bastien", 204, "20260306151500+0100", BASTIEN, _result(_GLUCOSE, "6.4", "H"), _result(_TSH, "1.950")
)
BIO_PAIR_1: Final = replace(BIO_PAIR_3, name="bio-bastien-pdf", number=205, kind="level 1", lines=("Biochimie",))
BIO_ACK: Final = _biology("bio-chloe", 206, "20260306160000+0100", CHLOE, _result(_GLUCOSE, "4.4"))
BIO_MAIL: Final = _biology("bio-chloe-messagerie", 207, "20260309160000+0100", CHLOE, _result(_TSH, "2.10"))
BIO_MASKED: Final = _biology("bio-dalila-masque", 208, "20260309113000+0100", DALILA, _result(_TSH, "3.30"))
BIO_HIDDEN: Final = _biology("bio-dalila-annonce", 209, "20260310113000+0100", DALILA, _result(_CREATININE, "140", "H"))
BIO_BOTH: Final = _biology("bio-dalila-interdit", 210, "20260310120000+0100", DALILA, _result(_POTASSIUM, "4.0"))
BIO_SELF: Final = replace(
    _biology("bio-dalila-auto", 211, "20260311100000+0100", DALILA, _result(_GLUCOSE, "5.00")),
    self_rendering=True,
)

LETTER_1: Final = Document(
    name="lettre-adele-aubier",
    number=301,
    kind="level 1",
    type=LETTER,
    title="Lettre de liaison à la sortie",
    time="20260312170000+0100",
    patient=ADELE,
    author=INTERNIST,
    organization=AUBIER,
    lines=("Sortie à domicile le 12/03/2026.", "Consultation de contrôle dans un mois."),
)

#: Carried by most of `bad/`: right by itself, so that each of these messages has one fault.
BIO_REFUSED: Final = _biology("bio-adele-rejet", 290, "20260313160000+0100", ADELE, _result(_TSH, "1.20"))
#: Adele with the key of her INS off by one.
ADELE_WRONG_KEY: Final = replace(ADELE, key=f"{int(ADELE.ins[-2:]) + 1:02d}")
BIO_WRONG_KEY: Final = replace(BIO_REFUSED, name="bio-adele-cle-fausse", number=291, patient=ADELE_WRONG_KEY)
BIO_TYPE: Final = replace(
    BIO_REFUSED,
    name="bilan-adele-hors-liste",
    number=292,
    kind="level 1",
    type=ORAL,
    title="Bilan bucco-dentaire",
    lines=("Bilan bucco-dentaire sans particularité.",),
    results=(),
)

DOCUMENTS: Final = (
    RADIO_1,
    RADIO_1_V2,
    RADIO_2,
    BIO_1,
    BIO_1_V2,
    BIO_2,
    BIO_PAIR_3,
    BIO_PAIR_1,
    BIO_ACK,
    BIO_MAIL,
    BIO_MASKED,
    BIO_HIDDEN,
    BIO_BOTH,
    BIO_SELF,
    LETTER_1,
    BIO_REFUSED,
    BIO_WRONG_KEY,
    BIO_TYPE,
)
