"""The patient of a CDA: one recordTarget, its identifiers and traits, with the place of each."""

from typing import Final

from gateway.mappers.cda.times import read_when
from gateway.mappers.cda.values import id_attribute, read_id
from gateway.mappers.cda.walk import Findings, Node
from gateway.model.ins import ROOTS
from gateway.model.patient import LONGEST, PatientId, PatientIdentity, Traits
from gateway.model.place import Place

#: Qualifier of a part of a name: of birth, used.
BIRTH: Final = "BR"
USED: Final = "CL"

#: The gender table has `UN` where the identity has `U`; every other code stays as written.
_SEX: Final = {"UN": "U"}
_SEXES: Final = ("M", "F", "U")

#: Roots of national identifiers: none is a local one (INS-C, insurance NIR). Source: CI-SIS, CDA R2.
_NATIONAL: Final = frozenset({*ROOTS, "1.2.250.1.213.1.4.2", "1.2.250.1.213.1.4.13"})


def read_patient(record_target: Node, findings: Findings) -> PatientIdentity | None:
    """
    Read one recordTarget.

    Returns:
        Identifiers and traits as written, never normalised; None, with CDA_REQUIRED, if there is no patientRole.

    Source: D-19.
    """
    role = record_target.one("patientRole")
    if role is None or role.is_null:
        findings.error("CDA_REQUIRED", findings.below(record_target, "patientRole[1]"), "patientRole")
        return None
    identifiers = tuple(known for node in role.all("id") if (known := _identifier(node, findings)) is not None)
    if not identifiers:
        findings.unusual(findings.below(role, "id[1]"), "no patient identifier")
    patient = role.one("patient")
    places: dict[str, Place] = {}
    traits = Traits() if patient is None else _TraitsReader(findings, places).read(patient)
    return PatientIdentity(identifiers=identifiers, traits=traits, places=places)


def source_patient_id(identity: PatientIdentity) -> PatientId | None:
    """
    Return the identifier that is sourcePatientId: the first local one, or the INS if there is none.

    Source: ANS Trans. CDA en HL7v2 2.1.
    """
    local = (known for known in identity.identifiers if known.authority not in _NATIONAL)
    return next(local, None) or next(iter(identity.ins), None)


def _identifier(node: Node, findings: Findings) -> PatientId | None:
    known = read_id(node)
    if known is None:
        return None
    place = findings.place(node, id_attribute(node))
    if max(len(known.value), len(known.authority or "")) > LONGEST:
        findings.error("CDA_INVALID", place, f"recordTarget/id: longer than {LONGEST} characters")
        return None
    return PatientId(value=known.value, authority=known.authority or "", place=place)


class _TraitsReader:
    """Reads the traits of one patient element."""

    def __init__(self, findings: Findings, places: dict[str, Place]) -> None:
        self._findings = findings
        self._places = places

    def read(self, patient: Node) -> Traits:
        name = patient.one("name")
        families = name.all("family") if name is not None else []
        givens = name.all("given") if name is not None else []
        plain_givens = _qualified(givens, None)
        birth = patient.one("birthTime")
        birth_date = read_when(self._findings, birth)
        if birth is not None and birth_date is not None:
            self._places["traits.birth_date"] = self._findings.place(birth, "value")
        return Traits(
            birth_name=self._text("birth_name", _qualified(families, BIRTH) or _qualified(families, None)),
            used_name=self._text("used_name", _qualified(families, USED)),
            first_given_name=self._text("first_given_name", _qualified(givens, BIRTH) or plain_givens),
            given_names=self._text("given_names", plain_givens, joined=True),
            birth_date=birth_date,
            sex=self._sex(patient.one("administrativeGenderCode")),
            birth_place=self._county(patient.one("birthplace", "place", "addr", "county")),
        )

    def _text(self, trait: str, nodes: list[Node], *, joined: bool = False) -> str | None:
        written = [(node, text) for node in nodes if (text := node.text) is not None]
        if not written:
            return None
        self._places[f"traits.{trait}"] = self._findings.place(written[0][0])
        return " ".join(text for _, text in written) if joined else written[0][1]

    def _sex(self, node: Node | None) -> str | None:
        code = node.get("code") if node is not None else None
        if node is None or code is None:
            return None
        place = self._places["traits.sex"] = self._findings.place(node, "code")
        sex = _SEX.get(code, code)
        if sex not in _SEXES:
            self._findings.unusual(place, "gender: not M, F or U")
        return sex

    def _county(self, node: Node | None) -> str | None:
        county = node.text if node is not None else None
        if node is not None and county is not None:
            self._places["traits.birth_place"] = self._findings.place(node)
        return county


def _qualified(nodes: list[Node], qualifier: str | None) -> list[Node]:
    """Return the parts of a name with a qualifier (a list of words), or those with none."""
    if qualifier is None:
        return [node for node in nodes if node.get("qualifier") is None]
    return [node for node in nodes if qualifier in (node.get("qualifier") or "").split()]
