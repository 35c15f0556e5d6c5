"""The French identity in a Patient: which number is an INS, which status qualifies it, which traits are strict."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.fhir.identity import Claims, of_identifier, of_patient
from gateway.mappers.fhir.walk import Node
from gateway.model.ins import ROOTS
from gateway.model.place import Place
from gateway.model.source import Grant
from tests.strategies.messages import DIRECTORY
from tests.strategies.resources import PORTAL, SIMPLE, TD2, Body, codes, errors, read, rejection, submission

INS = "284103523811464"
DEPOSIT = frozenset({Grant.DEPOSIT})
ASSERTED = DEPOSIT | {Grant.IDENTITY_ASSERTED}
OLD, NEW = "fr-core-cs-v2-0445", "fr-core-cs-identity-status"


def claims(**elements: Any) -> Claims:
    return of_patient(Node({"resourceType": "Patient", **elements}, "Patient"), PORTAL, DIRECTORY)


def number(system: str | None, value: str = INS, kind: str | None = None, **more: Any) -> dict[str, Any]:
    coding = {} if kind is None else {"type": {"coding": [{"code": kind}]}}
    return {**({} if system is None else {"system": system}), "value": value, **coding, **more}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("kind", [None, "INS-NIR", "INS-NIA"])
def test_an_ins_by_its_root(root: str, kind: str | None) -> None:
    for system in (f"urn:oid:{root}", root, f"URN:OID:{root}"):
        found = claims(identifier=[number(system, kind=kind)])
        assert [(known.authority, known.value) for known in found.ins] == [(root, INS)]
        assert found.local == []


def test_the_billing_number_under_the_same_root_is_no_ins() -> None:
    found = claims(identifier=[number("urn:oid:1.2.250.1.213.1.4.8", kind="NH")])
    assert (found.ins, found.local) == ([], [])


def test_an_ins_that_was_and_obsolete_numbers_are_passed_over() -> None:
    found = claims(
        identifier=[
            number("urn:oid:1.2.250.1.213.1.4.8", use="old"),
            number("urn:oid:1.2.250.1.213.1.4.2", kind="INS-C"),
            number("urn:oid:1.2.250.1.176.1.2", kind="NDP"),
        ]
    )
    assert (found.ins, found.local) == ([], [])


def test_local_numbers_by_their_authority() -> None:
    found = claims(identifier=[number("urn:oid:1.2.250.1.999.1.1", "100001"), number("http://elsewhere", "7")])
    assert [known.key for known in found.local] == [("chu-valmont/ipp", "100001"), ("http://elsewhere", "7")]


def test_an_identifier_that_is_longer_than_any_is() -> None:
    found = claims(identifier=[number("urn:oid:1.2", "9" * 251)])
    assert (found.local, [place.path for place in found.too_long]) == ([], ["Patient.identifier[0].value"])


def test_a_reference_by_identifier_alone() -> None:
    found = of_identifier((f"urn:oid:{ROOTS[2]}", INS), (), Place(path="List.subject.reference"), PORTAL, DIRECTORY)
    assert [known.key for known in found.ins] == [(ROOTS[2], INS)]


def test_traits_by_use_and_not_by_order() -> None:
    found = claims(
        name=[
            {"use": "usual", "family": "MARTIN"},
            {
                "use": "official",
                "family": "DURAND",
                "given": ["JEANNE", "MARIE"],
                "extension": [
                    {
                        "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-birth-list-given-name",
                        "valueString": "JEANNE MARIE",
                    }
                ],
            },
        ],
        gender="female",
        birthDate="1984-10",
    )
    traits = found.traits
    assert (traits.birth_name, traits.used_name, traits.first_given_name) == ("DURAND", "MARTIN", "JEANNE")
    assert (traits.given_names, traits.sex) == ("JEANNE MARIE", "F")
    assert traits.birth_date is not None
    assert traits.birth_date.iso == "1984-10"
    assert found.places["traits.birth_name"].path == "Patient.name[1].family"


def test_a_usual_name_alone_is_no_birth_name() -> None:
    assert claims(name=[{"use": "usual", "family": "MARTIN"}]).traits.birth_name is None
    assert claims(name=[{"family": "MARTIN"}]).traits.birth_name == "MARTIN"
    assert claims(name=[{"family": "MARTIN"}, {"family": "DURAND"}]).traits.birth_name is None


@pytest.mark.parametrize(("gender", "sex"), [("male", "M"), ("female", "F"), ("unknown", "U"), ("other", "U"), (None, None)])
def test_sex(gender: str | None, sex: str | None) -> None:
    assert claims(**({} if gender is None else {"gender": gender})).traits.sex == sex


@pytest.mark.parametrize(
    ("system", "code", "is_qualified"),
    [
        (OLD, "VALI", True),
        (OLD, "QUAL", True),
        (OLD, "PROV", False),
        (OLD, "RECUP", False),
        (OLD, "DOUT", False),
        (OLD, "FICT", False),
        (NEW, "QUAL", True),
        (NEW, "VALI", False),
        (NEW, "RECUP", False),
        (NEW, "PROV", False),
        ("of-nobody", "VALI", False),
        ("of-nobody", "QUAL", False),
    ],
)
def test_the_status_is_read_in_its_own_dialect(system: str, code: str, *, is_qualified: bool) -> None:
    for grants in (DEPOSIT, ASSERTED):  # a status that is written counts, whatever the source is trusted for
        found = read(Body(TD2).status(system, code), grants=grants)
        assert errors(found) == ([] if is_qualified else [("INS_UNQUALIFIED", errors(found)[0][1])])
        if not is_qualified:
            assert errors(found)[0][1].endswith("valueCoding.code")
            assert system in found.problems[0].detail


def test_without_a_status_the_grant_decides() -> None:
    assert submission(Body(TD2).status(OLD, None), grants=ASSERTED).patient.ins[0].value == INS
    assert [code for code, _ in errors(read(Body(TD2).status(OLD, None), grants=DEPOSIT))] == ["INS_UNQUALIFIED"]
    assert errors(read(Body(SIMPLE), grants=DEPOSIT)) == [("INS_UNQUALIFIED", "DocumentReference.subject")]


def test_production_takes_no_test_identity() -> None:
    assert {code for code, _ in errors(read(Body(TD2), environment="production"))} == {"INS_ROOT"}


def test_a_wrong_key() -> None:
    def wrong(tree: dict[str, Any]) -> None:
        for entry in tree["entry"]:
            if "subject" in entry["resource"]:
                entry["resource"]["subject"]["reference"] = entry["resource"]["subject"]["reference"][:-1] + "3"

    found = read(Body(TD2).change(wrong))
    assert errors(found)[0][0] == "INS_KEY"


def test_nothing_of_an_ins_is_repaired() -> None:
    for spelling in (f" {INS}", f"{INS} ", "2 84 10 35 238 114 64"):
        assert claims(identifier=[number(f"urn:oid:{ROOTS[2]}", spelling)]).ins[0].value == spelling
        body = Body(SIMPLE)
        body.tree["subject"] = {"type": "Patient", "identifier": {"system": f"urn:oid:{ROOTS[2]}", "value": spelling}}
        assert "INS_KEY" in {code for code, _ in errors(read(body))}
    assert claims(identifier=[number("urn:oid:1.2.250.1.999.1.1", " 100001 ")]).local[0].value == "100001"


def test_every_subject_names_one_patient() -> None:
    other = "Patient?identifier=urn:oid:1.2.250.1.213.1.4.10|212061305520911"
    body = Body(TD2)
    body.one("List")["subject"]["reference"] = other
    assert "INS_SEVERAL" in {code for code, _ in errors(read(body))}
    body = Body(TD2)
    for each in ("List", "DocumentReference"):
        body.one(each)["subject"]["reference"] = other
    assert "PID_CDA_DIFFER" in {code for code, _ in errors(read(body))}


def test_source_patient_info_is_the_same_patient() -> None:
    body = Body(TD2)
    body.patients[1]["identifier"][0]["value"] = "212061305520911"
    assert [code for code, _ in errors(read(body))] == ["PID_CDA_DIFFER"]


@pytest.mark.parametrize("form", ["entry", "identifier", "contained"])
def test_the_forms_of_a_subject(form: str) -> None:
    body = Body(TD2)
    patient = body.patients[0]
    url = "urn:uuid:00000000-0000-4000-8000-000000000009"
    for one in (body.one("List"), body.one("DocumentReference")):
        if form == "entry":
            one["subject"] = {"reference": url}
        elif form == "identifier":
            one["subject"] = {"type": "Patient", "identifier": patient["identifier"][0]}
        else:
            one["subject"] = {"reference": "#patient"}
    if form == "entry":
        request = {"method": "POST", "url": "Patient"}
        body.tree["entry"].append({"fullUrl": url, "resource": {**patient, "id": "p"}, "request": request})
    found = submission(body)
    assert found.patient.ins[0].value == INS
    assert {known.key for known in found.identifiers} >= {(ROOTS[2], INS), ("chu-valmont/ipp", "100001")}


def test_a_subject_that_leads_nowhere_or_is_missing() -> None:
    body = Body(TD2)
    body.one("DocumentReference")["subject"] = {"reference": "Patient/ex-patient"}
    assert errors(read(body)) == [("FHIR_REFERENCE", "Bundle.entry[1].resource.subject.reference")]
    body = Body(SIMPLE)
    del body.tree["subject"]
    assert errors(read(body))[:2] == [
        ("FHIR_REQUIRED", "DocumentReference.subject"),
        ("INS_ABSENT", "DocumentReference.subject"),
    ]


def test_traits_that_the_request_lacks_are_those_of_a_document_with_the_ins() -> None:
    body = Body(TD2)
    for patient in body.patients:
        patient["name"] = []
        del patient["gender"]
    found = submission(body).patient
    assert (found.traits.birth_name, found.traits.sex) == ("ESSAI-UN", "F")
    assert found.places["traits.birth_name"].within is not None
    bare = body.cda('<id root="1.2.250.1.213.1.4.10" extension="284103523811464"/>', "")
    missing = {path for code, path in errors(read(bare)) if code == "TRAITS_MISSING"}
    assert {path.rpartition(".")[2] for path in missing} == {"name", "gender"}


def test_a_level_1_document_without_ins_is_compared_by_the_traits_of_the_request() -> None:
    body = Body(TD2).cda('<id root="1.2.250.1.213.1.4.10" extension="284103523811464"/>', "")
    assert submission(body).patient.ins[0].value == INS
    for patient in body.patients:
        patient["birthDate"] = "1984-10-03"
    assert [code for code, _ in errors(read(body))] == ["PID_CDA_DIFFER"]


def test_a_rejection_shows_whose_it_was() -> None:
    found = rejection(Body(TD2).status(OLD, "DOUT"))
    assert (found.patient, found.document_ids, found.act) == (INS, ("1.2.250.1.999.1.2.101",), "add")
    assert codes(read(Body(TD2)))[0:] == []


@given(
    st.lists(
        st.fixed_dictionaries(
            {"value": st.text(min_size=1, max_size=20)},
            optional={"system": st.sampled_from([f"urn:oid:{root}" for root in ROOTS]) | st.text(max_size=12)},
        ),
        max_size=4,
    ),
    st.sampled_from([OLD, NEW, "x", ""]),
    st.text(max_size=6),
)
def test_any_identity_is_read(identifiers: list[dict[str, str]], system: str, code: str) -> None:
    coding = {"system": f"https://hl7.fr/{system}", "code": code}
    reliability = {
        "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability",
        "extension": [{"url": "identityStatus", "valueCoding": coding}],
    }
    found = claims(identifier=identifiers, extension=[reliability])
    assert all(known.place is not None for known in (*found.ins, *found.local))
    assert found.identity.is_qualified is ((system, code.strip()) in {(OLD, "VALI"), (OLD, "QUAL"), (NEW, "QUAL")})
