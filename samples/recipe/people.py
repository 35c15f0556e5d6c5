"""Who appears in the samples: four invented patients, three professionals, two establishments."""

from dataclasses import dataclass
from typing import Final

#: Root of the INS of test patients.
INS_TEST_ROOT: Final = "1.2.250.1.213.1.4.10"


def ins_key(number: str) -> str:
    """
    Compute the control key of an INS.

    Args:
        number: The first 13 characters of the matricule; 2A and 2B (Corsica) allowed.

    Returns:
        Two digits, 01 to 97.

    Source: Référentiel INS; 97 − (number mod 97), 2A read as 19 and 2B as 18.
    """
    digits = number.replace("2A", "19").replace("2B", "18")
    return f"{97 - int(digits) % 97:02d}"


@dataclass(frozen=True, kw_only=True)
class Patient:
    """
    One invented patient, with the five strict traits.

    Attributes:
        number: First 13 characters of the INS.
        key: Control key; computed when empty, given only by the samples that need a wrong one.
        sex: `M` or `F`.
        born: Birth date, YYYYMMDD.
        birthplace: INSEE COG code and name of the birthplace.
        local: Local identifier by establishment id.
        guardian: Name of the legal representative of a minor, else empty.
    """

    number: str
    family: str
    given: str
    givens: str
    sex: str
    born: str
    birthplace: tuple[str, str]
    street: tuple[str, str]
    city: str
    postcode: str
    local: dict[str, str]
    key: str = ""
    used_family: str = ""
    guardian: tuple[str, str] | None = None

    @property
    def ins(self) -> str:
        """The matricule: 13 characters and the key."""
        return self.number + (self.key or ins_key(self.number))


@dataclass(frozen=True, kw_only=True)
class Professional:
    """One invented professional; `rpps` is the 11 digits, without the leading 8."""

    rpps: str
    family: str
    given: str
    speciality: tuple[str, str]

    @property
    def idnps(self) -> str:
        """The identifier as CDA and PRT-5 carry it: 8 and the RPPS."""
        return "8" + self.rpps


@dataclass(frozen=True, kw_only=True)
class Establishment:
    """
    One invented establishment.

    Attributes:
        ej: FINESS of the legal entity, 9 digits (MSH and identifiers).
        eg: FINESS of the site that signs the documents, 9 digits.
        oid: Root of its own identifiers; `.1` the patients, `.2` the documents, `.3` the document sets.
        facility_code: Kind of facility, TRE_R02.
    """

    id: str
    name: str
    namespace: str
    ej: str
    eg: str
    oid: str
    street: tuple[str, str]
    city: str
    postcode: str
    telephone: str
    facility_code: tuple[str, str]


VALMONT: Final = Establishment(
    id="chu-valmont",
    name="CHU de Valmont",
    namespace="CHU-VALMONT",
    ej="990000018",
    eg="990000026",
    oid="1.2.250.1.999.1",
    street=("1", "Place de l'Hôpital"),
    city="VALMONT",
    postcode="35990",
    telephone="+33199000100",
    facility_code=("SA01", "Etablissement public de santé"),
)

AUBIER: Final = Establishment(
    id="clinique-aubier",
    name="Clinique de l'Aubier",
    namespace="CLINIQUE-AUBIER",
    ej="990000042",
    eg="990000059",
    oid="1.2.250.1.999.2",
    street=("14", "Chemin des Tanneurs"),
    city="AUBIER",
    postcode="35991",
    telephone="+33199000200",
    facility_code=("SA04", "Etablissement privé non PSPH"),
)

ADELE: Final = Patient(
    number="2841035238114",
    family="ESSAI-UN",
    given="ADELE",
    givens="ADELE LOUISE",
    sex="F",
    born="19841002",
    birthplace=("35238", "RENNES"),
    street=("7", "Allée des Ormes"),
    city="VALMONT",
    postcode="35990",
    local={"chu-valmont": "100001", "clinique-aubier": "A-5501"},
)

BASTIEN: Final = Patient(
    number="178032A004027",
    family="ESSAI-DEUX",
    given="BASTIEN",
    givens="BASTIEN JEAN",
    sex="M",
    born="19780314",
    birthplace=("2A004", "AJACCIO"),
    street=("3", "Impasse du Sacré-Cœur"),
    city="VALMONT",
    postcode="35990",
    local={"chu-valmont": "100002", "clinique-aubier": "A-5502"},
)

CHLOE: Final = Patient(
    number="2120613055209",
    family="ESSAI-TROIS",
    given="CHLOE",
    givens="CHLOE",
    sex="F",
    born="20120615",
    birthplace=("13055", "MARSEILLE"),
    street=("22", "Rue de la Fontaine"),
    city="AUBIER",
    postcode="35991",
    local={"chu-valmont": "100003", "clinique-aubier": "A-5503"},
    guardian=("ESSAI-TROIS", "Marc"),
)

DALILA: Final = Patient(
    number="2650799352042",
    family="ESSAI-QUATRE",
    given="DALILA",
    givens="DALILA ROSE",
    sex="F",
    born="19650708",
    birthplace=("99352", "ALGERIE"),
    street=("51", "Boulevard de la Gare"),
    city="VALMONT",
    postcode="35990",
    local={"chu-valmont": "100004", "clinique-aubier": "A-5504"},
    used_family="ESSAI-CINQ",
)

PATIENTS: Final = (ADELE, BASTIEN, CHLOE, DALILA)

BIOLOGIST: Final = Professional(
    rpps="99900000011",
    family="MODELE-BIO",
    given="Odile",
    speciality=("G15_10/SM03", "Médecin - Biologie médicale (SM)"),
)

RADIOLOGIST: Final = Professional(
    rpps="99900000029",
    family="MODELE-RADIO",
    given="Simon",
    speciality=("G15_10/SM44", "Médecin - Radio-diagnostic (SM)"),
)

INTERNIST: Final = Professional(
    rpps="99900000037",
    family="MODELE-MEDECINE",
    given="Ines",
    speciality=("G15_10/SM27", "Médecin - Médecine interne (SM)"),
)
