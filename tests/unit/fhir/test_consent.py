"""A Consent states an opposition or lifts one: of whose side, about what, and never wider than it was said."""

import copy
import json as plain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import consent
from gateway.mappers.fhir.json import load
from gateway.model.event import PatientEvent, Position, Right, Scope, Side, StatedBy
from gateway.model.outcome import Rejection
from gateway.model.problem import Severity
from gateway.model.source import Directory, Establishment, Grant, OppositionScope, Source, SourceKind

INS = "279035121518989"
ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
CLASSES = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
FINESS = "https://finess.esante.gouv.fr"
RPPS = "https://rpps.esante.gouv.fr"
ALL = frozenset({Grant.STATE_OPPOSITION, Grant.LIFT_OPPOSITION, Grant.IDENTITY_ASSERTED})

H1 = Establishment(
    id="h1", name="H1", finess_ej="990000018", finess_eg=("990000026", "990000034"), authorities={"ipp": ("1.2.250.1.999.1.1",)}
)
H2 = Establishment(id="h2", name="H2", finess_ej="990000042", finess_eg=("990000059",))
PORTAL = Establishment(id="mes", name="Portal", finess_ej="990000075", kind=SourceKind.PATIENT)


def _source(establishment: str = "h1", grants: frozenset[Grant] = ALL, **more: Any) -> Source:
    return Source(id=f"{establishment}-src", establishment=establishment, application="A", facility="F", grants=grants, **more)


def _deny(**provision: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"identifier": {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": INS}},
        "dateTime": "2026-03-10T10:00:00+01:00",
        "provision": {"type": "deny", "action": [{"coding": [{"system": ACTION, "code": "collect"}]}], **provision},
    }


def _read(
    resource: dict[str, Any], source: Source | None = None, establishments: tuple[Establishment, ...] = (H1, H2, PORTAL)
) -> Read:
    sender = source or _source()
    directory = Directory(establishments=establishments, sources=(sender,))
    return consent.read(load(plain.dumps(resource).encode()), sender, directory, "production")


def _event(resource: dict[str, Any], source: Source | None = None, **more: Any) -> PatientEvent:
    read = _read(resource, source, **more)
    assert isinstance(read.content, PatientEvent), [
        (problem.code, problem.detail, str(problem.place)) for problem in read.problems
    ]
    return read.content


def _refusal(resource: dict[str, Any], source: Source | None = None, **more: Any) -> tuple[str, str]:
    read = _read(resource, source, **more)
    assert isinstance(read.content, Rejection)
    first = read.problems[0]
    assert first.severity is Severity.ERROR
    assert first == read.content.problems[0]
    return first.code, first.place.path if first.place else ""


def _organisation(finess: str) -> dict[str, Any]:
    return {
        "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "CST"}]},
        "reference": {"type": "Organization", "identifier": {"system": FINESS, "value": finess}},
    }


def _practitioner(number: str) -> dict[str, Any]:
    return {**_organisation(number), "reference": {"identifier": {"system": RPPS, "value": number}}}


def test_a_denial_of_an_establishment_is_the_opposition_of_its_zfa_9() -> None:
    event = _event(_deny())
    (stated,) = event.statements
    assert (stated.right, stated.position, stated.side) == (Right.FEEDING, Position.OPPOSES, Side.ESTABLISHMENT)
    assert (stated.scope, stated.scope_value, stated.collected_by) == (Scope.ESTABLISHMENT, "h1", "h1")
    assert stated.stated_by is StatedBy.ESTABLISHMENT
    assert stated.collected_at is not None
    assert (stated.collected_at.written, stated.basis) == ("2026-03-10T10:00:00+01:00", "Consent.dateTime")
    assert [known.value for known in event.identifiers] == [INS]
    assert not event.links
    assert [(problem.code, problem.severity) for problem in event.problems] == [("CONSENT_OWN_ONLY", Severity.INFORMATION)]


def test_a_permission_lifts_and_needs_its_own_grant() -> None:
    permit = _deny(type="permit")
    assert [one.position for one in _event(permit).statements] == [Position.ALLOWS]
    only_states = _source(grants=frozenset({Grant.STATE_OPPOSITION, Grant.IDENTITY_ASSERTED}))
    only_lifts = _source(grants=frozenset({Grant.LIFT_OPPOSITION, Grant.IDENTITY_ASSERTED}))
    assert _refusal(permit, only_states) == ("SOURCE_NOT_ALLOWED", "Consent.provision.type")
    assert _refusal(_deny(), only_lifts) == ("SOURCE_NOT_ALLOWED", "Consent.provision.type")
    assert [one.position for one in _event(permit, only_lifts).statements] == [Position.ALLOWS]


def test_a_source_without_either_grant_is_told_so_before_anything_else() -> None:
    assert _refusal({"resourceType": "Consent"}, _source(grants=frozenset({Grant.DEPOSIT}))) == ("SOURCE_NOT_ALLOWED", "")


@pytest.mark.parametrize("kind", ["deny", "permit"])
@pytest.mark.parametrize("finess", ["990000042", "1990000059", "999999999"])
def test_no_source_states_or_lifts_for_another_establishment(kind: str, finess: str) -> None:
    assert _refusal(_deny(type=kind, actor=[_organisation(finess)])) == (
        "CONSENT_NOT_OWN",
        "Consent.provision.actor[0].reference",
    )


@pytest.mark.parametrize("kind", ["deny", "permit"])
def test_another_organization_as_custodian_of_the_consent_is_refused(kind: str) -> None:
    resource = _deny(type=kind) | {"organization": [{"identifier": {"system": FINESS, "value": "990000042"}}]}
    assert _refusal(resource) == ("CONSENT_NOT_OWN", "Consent.organization[0]")


@pytest.mark.parametrize("finess", ["990000018", "1990000018", "990000026"])
def test_its_own_establishment_may_be_named_by_any_of_its_numbers(finess: str) -> None:
    event = _event(_deny(actor=[_organisation(finess)]) | {"organization": [{"identifier": {"system": FINESS, "value": finess}}]})
    assert [one.scope_value for one in event.statements] == ["h1"]
    assert event.problems == ()


@pytest.mark.parametrize("performer", ["Patient", "RelatedPerson", "Practitioner"])
def test_who_performed_it_never_makes_it_the_patients_side(performer: str) -> None:
    resource = _deny(type="permit") | {"performer": [{"type": performer, "display": "x"}]}
    (stated,) = _event(resource).statements
    assert stated.side is Side.ESTABLISHMENT
    assert stated.scope_value == "h1"


def test_a_source_of_kind_patient_in_a_hospital_is_of_the_hospitals_side() -> None:
    (stated,) = _event(_deny(), _source(kind=SourceKind.PATIENT)).statements
    assert stated.side is Side.ESTABLISHMENT


def test_the_patients_own_door_speaks_for_the_patient_and_for_every_source() -> None:
    (stated,) = _event(_deny(), _source("mes")).statements
    assert (stated.side, stated.scope, stated.scope_value) == (Side.PATIENT, Scope.ALL, None)
    assert (stated.stated_by, stated.collected_by) == (StatedBy.PATIENT, "mes")


@pytest.mark.parametrize(
    ("performer", "by"), [("Patient", StatedBy.PATIENT), ("RelatedPerson", StatedBy.REPRESENTATIVE), ("Practitioner", None)]
)
def test_at_the_patients_door_the_patient_or_a_representative_speaks(performer: str, by: StatedBy | None) -> None:
    resource = _deny() | {"performer": [{"type": performer, "display": "x"}]}
    if by is None:
        assert _refusal(resource, _source("mes")) == ("CONSENT_UNCLEAR", "Consent.performer[0]")
    else:
        assert [one.stated_by for one in _event(resource, _source("mes")).statements] == [by]


@pytest.mark.parametrize(
    ("provision", "scope", "value"),
    [
        ({"actor": [_organisation("1990000042")]}, Scope.ESTABLISHMENT, "h2"),
        ({"actor": [_organisation("123456789")]}, Scope.ESTABLISHMENT, "finess:123456789"),
        ({"actor": [_practitioner("10001234567")]}, Scope.PROFESSIONAL, "810001234567"),
        ({"class": [{"system": CLASSES, "code": "60"}]}, Scope.CLASS, "60"),
        ({"code": [{"coding": [{"system": "http://loinc.org", "code": "51969-4"}]}]}, Scope.TYPE, "51969-4"),
    ],
)
def test_the_patients_door_binds_what_is_named(provision: dict[str, Any], scope: Scope, value: str) -> None:
    (stated,) = _event(_deny(**provision), _source("mes")).statements
    assert (stated.side, stated.scope, stated.scope_value) == (Side.PATIENT, scope, value)


def test_several_of_one_kind_are_several_statements() -> None:
    event = _event(_deny(actor=[_organisation("990000018"), _organisation("990000042")]), _source("mes"))
    assert [one.scope_value for one in event.statements] == ["h1", "h2"]


def test_a_class_that_an_establishment_names_is_of_its_own_deposits() -> None:
    (stated,) = _event(_deny(**{"class": [{"system": CLASSES, "code": "10"}]})).statements
    assert (stated.side, stated.scope, stated.scope_value, stated.collected_by) == (Side.ESTABLISHMENT, Scope.CLASS, "10", "h1")


def test_a_permission_with_a_denial_inside_is_both() -> None:
    exception = {"type": "deny", "actor": [_organisation("990000042")]}
    event = _event(_deny(type="permit", provision=[exception]), _source("mes"))
    assert [(one.position, one.scope, one.scope_value) for one in event.statements] == [
        (Position.ALLOWS, Scope.ALL, None),
        (Position.OPPOSES, Scope.ESTABLISHMENT, "h2"),
    ]


ACTOR = [_organisation("990000042")]
_DEEPER = {"type": "deny", "actor": ACTOR, "provision": [{"type": "permit", "actor": ACTOR}]}


@pytest.mark.parametrize(
    ("provision", "code", "path"),
    [
        ({"type": None}, "CONSENT_UNCLEAR", "type"),
        ({"action": None}, "CONSENT_UNCLEAR", "action"),
        ({"action": [{"coding": [{"system": ACTION, "code": "disclose"}]}]}, "CONSENT_UNCLEAR", "action[0]"),
        ({"action": [{"text": "alimentation"}]}, "CONSENT_UNCLEAR", "action[0]"),
        ({"period": {"end": "2027-01-01"}}, "CONSENT_RESTRICTION", "period.end"),
        ({"data": [{"meaning": "instance", "reference": {"display": "x"}}]}, "CONSENT_RESTRICTION", "data"),
        ({"dataPeriod": {"start": "2020-01-01"}}, "CONSENT_RESTRICTION", "dataPeriod"),
        ({"securityLabel": [{"code": "V"}]}, "CONSENT_RESTRICTION", "securityLabel"),
        ({"purpose": [{"code": "ETREAT"}]}, "CONSENT_RESTRICTION", "purpose[0]"),
        ({"class": [{"system": CLASSES, "code": "nope"}]}, "CONSENT_RESTRICTION", "class[0]"),
        ({"class": [{"code": "60"}]}, "CONSENT_RESTRICTION", "class[0]"),
        ({"code": [{"text": "génétique"}]}, "CONSENT_RESTRICTION", "code[0]"),
        ({"class": [{"system": CLASSES, "code": "60"}], "actor": ACTOR}, "CONSENT_RESTRICTION", ""),
        ({"actor": [{**ACTOR[0], "reference": {"reference": "Organization/7"}}]}, "FHIR_REFERENCE", "actor[0].reference"),
        ({"actor": [{**ACTOR[0], "reference": {"identifier": {"value": "7"}}}]}, "CONSENT_RESTRICTION", "actor[0].reference"),
        ({"provision": [{"type": "permit", "actor": ACTOR}]}, "CONSENT_RESTRICTION", "provision[0].type"),
        ({"type": "permit", "provision": [{"type": "permit", "actor": ACTOR}]}, "CONSENT_RESTRICTION", "provision[0].type"),
        ({"type": "permit", "provision": [{"type": "deny"}]}, "CONSENT_UNCLEAR", "provision[0]"),
        ({"type": "permit", "provision": [_DEEPER]}, "CONSENT_RESTRICTION", "provision[0].provision[0]"),
    ],
)
def test_what_cannot_be_kept_as_it_was_said_is_refused_never_widened(provision: dict[str, Any], code: str, path: str) -> None:
    resource = _deny(**provision)
    resource["provision"] = {name: value for name, value in resource["provision"].items() if value is not None}
    assert _refusal(resource, _source("mes")) == (code, ".".join(filter(None, ("Consent.provision", path))))


def test_exceptions_are_of_the_patients_side_only() -> None:
    exception = {"type": "deny", "actor": [_organisation("990000018")]}
    assert _refusal(_deny(type="permit", provision=[exception])) == ("CONSENT_RESTRICTION", "Consent.provision.provision")


@pytest.mark.parametrize("status", ["inactive", "rejected", "entered-in-error", "draft", "proposed"])
def test_what_is_not_active_states_nothing_and_lifts_nothing(status: str) -> None:
    assert _refusal(_deny() | {"status": status}) == ("CONSENT_STATUS", "Consent.status")


@pytest.mark.parametrize("scope", ["adr", "research", "treatment"])
def test_another_scope_is_no_opposition(scope: str) -> None:
    resource = _deny()
    resource["scope"]["coding"][0]["code"] = scope
    assert _refusal(resource) == ("CONSENT_UNCLEAR", "Consent.scope")


def test_access_is_the_consultation_by_the_establishments_team() -> None:
    access = [{"coding": [{"system": ACTION, "code": "access"}]}]
    (stated,) = _event(_deny(action=access)).statements
    assert (stated.right, stated.scope, stated.scope_value) == (Right.CONSULTATION, Scope.ESTABLISHMENT, "h1")
    assert _refusal(_deny(action=access), _source("mes")) == ("CONSENT_RESTRICTION", "Consent.provision.action")
    both = [*access, {"coding": [{"system": ACTION, "code": "collect"}]}]
    assert {one.right for one in _event(_deny(action=both)).statements} == set(Right)


def test_where_sites_are_told_apart_a_source_binds_its_own_site_only() -> None:
    sites = Establishment(
        id="h1", name="H1", finess_ej="990000018", finess_eg=("990000026", "990000034"), opposition_scope=OppositionScope.SITE
    )
    source = _source(site="990000026")
    (stated,) = _event(_deny(), source, establishments=(sites, H2)).statements
    assert stated.scope_value == "h1/990000026"
    (stated,) = _event(_deny(actor=[_organisation("990000026")]), source, establishments=(sites, H2)).statements
    assert stated.scope_value == "h1/990000026"
    for other in ("990000034", "990000018"):
        refused = _refusal(_deny(actor=[_organisation(other)]), source, establishments=(sites, H2))
        assert refused == ("CONSENT_NOT_OWN", "Consent.provision.actor[0].reference")
    narrowed = _deny(**{"class": [{"system": CLASSES, "code": "10"}]})
    assert _refusal(narrowed, source, establishments=(sites, H2))[0] == "CONSENT_RESTRICTION"


@pytest.mark.parametrize("kind", ["deny", "permit"])
def test_where_sites_are_told_apart_a_consent_of_another_site_is_not_taken_for_its_own(kind: str) -> None:
    sites = Establishment(
        id="h1", name="H1", finess_ej="990000018", finess_eg=("990000026", "990000034"), opposition_scope=OppositionScope.SITE
    )

    def of(number: str) -> dict[str, Any]:
        return _deny(type=kind) | {"organization": [{"identifier": {"system": FINESS, "value": number}}]}

    how: dict[str, Any] = {"source": _source(site="990000026"), "establishments": (sites, H2)}
    assert _refusal(of("990000034"), **how) == ("CONSENT_NOT_OWN", "Consent.organization[0]")
    for own in ("990000026", "990000018"):
        assert [stated.scope_value for stated in _event(of(own), **how).statements] == ["h1/990000026"]


@pytest.mark.parametrize(
    ("system", "code", "is_used"),
    [
        ("fr-core-cs-v2-0445", "VALI", True),
        ("fr-core-cs-identity-status", "QUAL", True),
        ("fr-core-cs-identity-status", "VALI", False),
        ("fr-core-cs-v2-0445", "PROV", False),
        ("fr-core-cs-v2-0445", "DOUT", False),
    ],
)
def test_the_status_of_the_identity_decides_whether_its_ins_counts(system: str, code: str, *, is_used: bool) -> None:
    status = {
        "url": "identityStatus",
        "valueCoding": {"system": f"https://hl7.fr/ig/fhir/core/CodeSystem/{system}", "code": code},
    }
    reliability = {
        "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability",
        "extension": [status],
    }
    patient = {
        "resourceType": "Patient",
        "id": "p",
        "extension": [reliability],
        "identifier": [
            {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": INS},
            {"system": "urn:oid:1.2.250.1.999.1.1", "value": "IPP-7"},
        ],
    }
    event = _event(_deny() | {"contained": [patient], "patient": {"reference": "#p"}})
    values = [known.value for known in event.identifiers]
    assert values == ([INS, "IPP-7"] if is_used else ["IPP-7"])
    assert ("INS_UNQUALIFIED_DROPPED" in {problem.code for problem in event.problems}) is not is_used


@pytest.mark.parametrize(
    ("patient", "code"),
    [
        ({"identifier": {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "279035121518988"}}, "EVENT_UNUSABLE"),
        ({"identifier": {"system": "urn:oid:1.2.250.1.213.1.4.10", "value": INS}}, "EVENT_UNUSABLE"),
        ({"identifier": {"system": "urn:oid:1.2.3", "value": "of-another"}}, "EVENT_UNUSABLE"),
        ({"reference": "Patient/7"}, "FHIR_REFERENCE"),
        ({"reference": "#nobody"}, "FHIR_REFERENCE"),
    ],
)
def test_nobody_is_guessed(patient: dict[str, Any], code: str) -> None:
    assert _refusal(_deny() | {"patient": patient})[0] == code


def test_without_the_grant_an_ins_without_a_status_names_nobody() -> None:
    source = _source(grants=frozenset({Grant.STATE_OPPOSITION}))
    assert _refusal(_deny(), source) == ("EVENT_UNUSABLE", "Consent.patient")
    local = _deny() | {"patient": {"identifier": {"system": "urn:oid:1.2.250.1.999.1.1", "value": "IPP-7"}}}
    assert [known.key for known in _event(local, source).identifiers] == [("h1/ipp", "IPP-7")]


def test_dates_keep_their_precision_and_a_later_start_counts() -> None:
    day = _event(_deny() | {"dateTime": "2026-03-10"}).statements[0].collected_at
    assert day is not None
    assert day.iso == "2026-03-10"
    later = _event(_deny(period={"start": "2026-05-01"})).statements[0]
    assert later.collected_at is not None
    assert (later.collected_at.iso, later.basis) == ("2026-05-01", "Consent.provision.period.start")
    earlier = _event(_deny(period={"start": "2020-05-01"})).statements[0]
    assert earlier.basis == "Consent.dateTime"
    undated = _deny()
    del undated["dateTime"]
    event = _event(undated)
    assert event.statements[0].collected_at is None
    assert "FHIR_UNUSUAL" in {problem.code for problem in event.problems}


def test_another_resource_is_refused() -> None:
    assert _refusal({"resourceType": "Patient", "active": True}) == ("FHIR_UNSUPPORTED", "Patient.resourceType")


#: What may restrict a provision, each in a form that is not known.
_RESTRICTIONS = {
    "securityLabel": [{"code": "R"}],
    "purpose": [{"code": "HRESCH"}],
    "class": [{"code": "x"}],
    "code": [{"text": "x"}],
    "data": [{"meaning": "related", "reference": {"display": "x"}}],
    "dataPeriod": {"end": "2026"},
    "actor": [{**_organisation("x"), "reference": {"display": "x"}}],
}


@given(
    st.sets(st.sampled_from(sorted(_RESTRICTIONS)), min_size=1),
    st.sampled_from(["deny", "permit"]),
    st.sampled_from(["h1", "mes"]),
)
def test_any_unknown_restriction_refuses_whatever_stands_beside_it(names: set[str], kind: str, establishment: str) -> None:
    resource = copy.deepcopy(_deny(type=kind, **{name: _RESTRICTIONS[name] for name in sorted(names)}))
    assert isinstance(_read(resource, _source(establishment)).content, Rejection)
