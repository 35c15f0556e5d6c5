"""
The patient of a FHIR request: INS, local numbers, traits and the status of the identity, in the dialects that France has.

Source: fr-core 2.x; D-19.
"""

from dataclasses import dataclass, field
from typing import Final

from gateway.mappers.common.authorities import also_tested, authority_of, distinct
from gateway.mappers.fhir.references import kinds
from gateway.mappers.fhir.values import bare, when
from gateway.mappers.fhir.walk import Node
from gateway.model.ins import ROOTS
from gateway.model.patient import LONGEST, QUALIFIED, PatientId, PatientIdentity, Traits
from gateway.model.place import Place
from gateway.model.source import Directory, Source

_FRENCH: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/"
RELIABILITY: Final = f"{_FRENCH}fr-core-identity-reliability"
#: The part of that extension which is the status: under whatever URL it comes, it says that somebody stated one.
_STATUS: Final = "identityStatus"
#: What a status is where it cannot be read.
_UNKNOWN: Final = "PROV"
_GIVEN_NAMES: Final = f"{_FRENCH}fr-core-patient-birth-list-given-name"
_INSEE: Final = f"{_FRENCH}fr-core-address-insee-code"
_BIRTH_PLACE: Final = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"

#: The last part of the code system of a status: which list it is of.
V2_0445: Final = "fr-core-cs-v2-0445"
IDENTITY_STATUS: Final = "fr-core-cs-identity-status"
#: What the statuses mean in PID-32's table: VALI of the older list is qualified, of the newer one it is not. Source: fr-core.
_STATUSES: Final = {
    (V2_0445, "VALI"): QUALIFIED,
    (V2_0445, "QUAL"): QUALIFIED,
    (IDENTITY_STATUS, "QUAL"): QUALIFIED,
    (IDENTITY_STATUS, "VALI"): "PROV",
    (V2_0445, "RECUP"): "PROV",
    (IDENTITY_STATUS, "RECUP"): "PROV",
}

#: Types that never name a patient to us: the billing number, the obsolete INS-C, pharmacy's and visits' numbers.
_IGNORED_TYPES: Final = frozenset({"NH", "INS-C", "NDP", "VN", "AN"})
#: Roots of national numbers that are no INS.
_IGNORED_ROOTS: Final = frozenset({"1.2.250.1.213.1.4.2", "1.2.250.1.176.1.2", "1.2.250.1.213.1.4.13"})
#: An INS that was another one: the store knows former ones by itself.
_OLD: Final = "old"

_SEXES: Final = {"male": "M", "female": "F", "unknown": "U", "other": "U"}
#: Where each strict trait stands in a Patient.
STRICT: Final = (
    ("birth_name", "name, use official", "name"),
    ("birth_date", "birthDate", "birthDate"),
    ("sex", "gender", "gender"),
    ("birth_place", "birthPlace: INSEE code", "extension"),
)

TOO_LONG: Final = f"identifier: longer than {LONGEST} characters"


@dataclass(slots=True)
class Claims:
    """
    What one resource or reference says of whose data it is.

    Attributes:
        place: The resource, or the reference.
        ins: What claims to be an INS, its root right or not.
        local: Every other identifier, of the source's own establishment or not.
        perhaps: Identifiers of unsure authority under each domain that they may belong to.
        too_long: Identifiers that are longer than any is.
        traits: Of a Patient.
        reliability: Its status by the table of PID-32.
        dialect: Which list of statuses was read, for the answer.
        places: Of its fields.
    """

    place: Place
    ins: list[PatientId] = field(default_factory=list)
    local: list[PatientId] = field(default_factory=list)
    perhaps: list[PatientId] = field(default_factory=list)
    too_long: list[Place] = field(default_factory=list)
    traits: Traits = field(default_factory=Traits)
    reliability: tuple[str, ...] = ()
    dialect: str = ""
    places: dict[str, Place] = field(default_factory=dict)

    @property
    def identity(self) -> PatientIdentity:
        """Every identifier, the traits and the status."""
        every = (*(one for one in self.ins if one.is_ins), *self.local)
        return PatientIdentity(identifiers=distinct(every), traits=self.traits, reliability=self.reliability, places=self.places)


def of_patient(patient: Node, source: Source, directory: Directory) -> Claims:
    """
    Read a Patient.

    Args:
        patient: The resource, contained or an entry.
        source: Who sends: its establishment's authorities are its own.
        directory: Establishments with their authorities.

    Returns:
        What it says; nothing is judged here.
    """
    claims = Claims(patient.place())
    for known in patient.all("identifier"):
        value = known.written("value")
        if value is not None and known.text("use") != _OLD:
            _identifier(claims, (known.text("system"), value), kinds(known), known.place("value"), source, directory)
    claims.traits = _traits(patient, claims.places)
    claims.reliability, claims.dialect = _reliability(patient, claims.places)
    return claims


def of_identifier(
    known: tuple[str | None, str], said: tuple[str, ...], place: Place, source: Source, directory: Directory
) -> Claims:
    """Read an identifier (system, value) that stands in a reference, and what it is said to be; the rest as `of_patient`."""
    claims = Claims(place)
    _identifier(claims, known, said, place, source, directory)
    return claims


def _identifier(  # noqa: PLR0917 - one identifier, and whose it may be
    claims: Claims, known: tuple[str | None, str], said: tuple[str, ...], place: Place, source: Source, directory: Directory
) -> None:
    system, value = known
    kind = next(iter(said), None)
    authority = bare(system)
    if max(len(value), len(authority or "")) > LONGEST:
        claims.too_long.append(place)
        return
    if _IGNORED_TYPES.intersection(said) or authority in _IGNORED_ROOTS or not value.strip():
        return
    # As written, spaces included: nothing of an INS is repaired.
    if authority in ROOTS or any(each.startswith("INS") for each in said):
        claims.ins.append(PatientId(value=value, authority=authority or "", type=kind, place=place))
        return
    found = authority_of((system, authority), source, directory, identifier_type=kind)
    local = PatientId(value=value.strip(), authority=found.key, type=kind, place=place)
    claims.local.append(local)
    claims.perhaps += also_tested(local, found)


def _reliability(patient: Node, places: dict[str, Place]) -> tuple[tuple[str, ...], str]:
    found: list[str] = []
    dialect = ""
    for inner in (inner for extension in patient.all("extension") for inner in extension.all("extension")):
        if inner.text("url") != _STATUS:
            continue
        coding = inner.one("valueCoding") or Node({}, inner.place("valueCoding").path)
        code = coding.text("code")
        dialect = (coding.text("system") or "").rstrip("/").rpartition("/")[2]
        # A status of a list that nobody knows, or in a form that nobody knows, is not a qualified one.
        known = code if dialect in {V2_0445, IDENTITY_STATUS} and code not in {None, QUALIFIED} else _UNKNOWN
        found.append(_STATUSES.get((dialect, code or ""), known or _UNKNOWN))
        places.setdefault("reliability", coding.place("code"))
    return tuple(dict.fromkeys(found)), dialect


def _traits(patient: Node, places: dict[str, Place]) -> Traits:
    names = patient.all("name")
    official = next((name for name in names if name.text("use") == "official"), None)
    usual = next((name for name in names if name.text("use") == "usual"), None)
    if official is None and len(names) == 1 and usual is None:
        official = names[0]
    written: dict[str, str | None] = {}

    def note(trait: str, value: str | None, place: Place) -> None:
        if value is not None:
            written[trait] = value
            places[f"traits.{trait}"] = place

    if official is not None:
        note("birth_name", official.text("family"), official.place("family"))
        note("first_given_name", next(iter(official.texts("given")), None), official.place("given[0]"))
        listed = official.extension(_GIVEN_NAMES)
        if listed is not None:
            note("given_names", listed.text("valueString"), listed.place("valueString"))
    if usual is not None:
        note("used_name", usual.text("family"), usual.place("family"))
    note("sex", _SEXES.get(patient.text("gender") or ""), patient.place("gender"))
    birth_place = patient.extension(_BIRTH_PLACE)
    address = birth_place.one("valueAddress") if birth_place is not None else None
    insee = address.extension(_INSEE) if address is not None else None
    coding = insee.one("valueCoding") if insee is not None else None
    if coding is not None:
        note("birth_place", coding.text("code"), coding.place("code"))
    born = when(patient.text("birthDate"))
    if born is not None:
        places["traits.birth_date"] = patient.place("birthDate")
    return Traits(**written, birth_date=born)
