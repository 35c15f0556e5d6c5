"""Validation: where the library says no, and where it says yes to what is no FHIR R4."""

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir.json import load
from gateway.mappers.fhir.validate import is_resource, validate, warm_up
from gateway.model.problem import Unreadable
from gateway.model.problems import CODES

OBSERVATION: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


def found(value: dict[str, Any]) -> list[tuple[str, str, str]]:
    findings = Findings()
    root = validate(load(json.dumps(value).encode()), findings)
    assert (root is None) <= bool(findings.errors)
    return [(p.code, p.severity.err4, p.place.path if p.place else "") for p in findings.deciding]


def observation(**elements: Any) -> list[tuple[str, str, str]]:
    return found({**OBSERVATION, **elements})


def test_a_valid_resource_has_no_problem() -> None:
    assert observation() == []


@pytest.mark.parametrize(
    ("elements", "code", "path"),
    [
        ({"resourceType": "Foo"}, "FHIR_UNSUPPORTED", "$.resourceType"),
        ({"resourceType": "Address"}, "FHIR_UNSUPPORTED", "$.resourceType"),
        ({"resourceType": "DomainResource"}, "FHIR_UNSUPPORTED", "$.resourceType"),
        ({"resourceType": ["Observation"]}, "FHIR_UNSUPPORTED", "$.resourceType"),
        ({"Status": "final"}, "FHIR_STRUCTURE", "Observation.Status"),
        ({"value_string": "a"}, "FHIR_STRUCTURE", "Observation.value_string"),
        ({"status__ext": {"id": "a"}}, "FHIR_STRUCTURE", "Observation.status__ext"),
        ({"fhir_comments": "a"}, "FHIR_STRUCTURE", "Observation.fhir_comments"),
        ({"class_fhir": "a"}, "FHIR_STRUCTURE", "Observation.class_fhir"),
        ({"category": {"text": "a"}}, "FHIR_STRUCTURE", "Observation.category"),
        ({"status": "finalised"}, "FHIR_CODE", "Observation.status"),
        ({"valueQuantity": {"value": 1, "comparator": "~"}}, "FHIR_CODE", "Observation.valueQuantity.comparator"),
        ({"identifier": [{"use": "mine"}]}, "FHIR_CODE", "Observation.identifier[0].use"),
        ({"valueQuantity": {"value": "1.950"}}, "FHIR_STRUCTURE", "Observation.valueQuantity.value"),
        ({"valueBoolean": 1}, "FHIR_STRUCTURE", "Observation.valueBoolean"),
        ({"valueBoolean": "true"}, "FHIR_STRUCTURE", "Observation.valueBoolean"),
        ({"valueInteger": "3"}, "FHIR_STRUCTURE", "Observation.valueInteger"),
        ({"valueInteger": True}, "FHIR_STRUCTURE", "Observation.valueInteger"),
        ({"valueInteger": 3.0}, "FHIR_STRUCTURE", "Observation.valueInteger"),
        ({"valueInteger": 2**31}, "FHIR_VALUE", "Observation.valueInteger"),
        ({"effectiveDateTime": "2026-02-30"}, "FHIR_VALUE", "Observation.effectiveDateTime"),
        ({"subject": {}}, "FHIR_INVARIANT", "Observation.subject"),
        ({"implicitRules": "http://x"}, "FHIR_MODIFIER", "Observation.implicitRules"),
        ({"extension": [{"url": "a"}]}, "FHIR_INVARIANT", "Observation.extension[0]"),
        (
            {"extension": [{"url": "a", "valueCode": "b", "extension": [{"url": "c", "valueCode": "d"}]}]},
            "FHIR_INVARIANT",
            "Observation.extension[0]",
        ),
        (
            {"valueString": "a", "dataAbsentReason": {"text": "b"}},
            "FHIR_INVARIANT",
            "Observation.dataAbsentReason",
        ),
        ({"contained": [{"resourceType": "Foo", "id": "a"}]}, "FHIR_UNSUPPORTED", "Observation.contained[0].resourceType"),
        ({"contained": [{"id": "a"}]}, "FHIR_REQUIRED", "Observation.contained[0].resourceType"),
        (
            {"subject": {"reference": "#a"}, "contained": [{"resourceType": "Patient", "id": "a"}] * 2},
            "FHIR_INVARIANT",
            "Observation.contained[0].id",
        ),
        ({"subject": {"resourceType": "Patient"}}, "FHIR_STRUCTURE", "Observation.subject.resourceType"),
    ],
)
def test_what_is_no_fhir_has_its_code_and_place(elements: dict[str, Any], code: str, path: str) -> None:
    assert observation(**elements)[0] == (code, "E", path)


def test_a_required_element_that_is_missing() -> None:
    assert found({"resourceType": "Observation", "code": {"text": "x"}}) == [("FHIR_REQUIRED", "E", "Observation.status")]
    assert found({"id": "x"}) == [("FHIR_REQUIRED", "E", "resourceType")]


def test_contained_in_contained_and_one_that_nothing_names() -> None:
    inner = {"resourceType": "Patient", "id": "a", "contained": [{"resourceType": "Patient", "id": "b"}]}
    assert ("FHIR_INVARIANT", "E", "Observation.contained[0].contained") in observation(
        contained=[inner], subject={"reference": "#a"}
    )
    assert observation(contained=[{"resourceType": "Patient", "id": "a"}]) == [
        ("FHIR_UNUSUAL", "W", "Observation.contained[0].id")
    ]


def test_a_modifier_refuses_a_deposit_and_only_warns_of_a_fact() -> None:
    modifier = [{"url": "http://x", "valueString": "not"}]
    assert observation(modifierExtension=modifier) == [("FHIR_MODIFIER", "W", "Observation.modifierExtension[0].url")]
    patient = {"resourceType": "Patient", "modifierExtension": modifier}
    assert found(patient) == [("FHIR_MODIFIER", "E", "Patient.modifierExtension[0].url")]


def test_an_allergy_says_whether_it_is_active() -> None:
    allergy: dict[str, Any] = {"resourceType": "AllergyIntolerance", "patient": {"display": "x"}}
    assert found(allergy) == [("FHIR_UNUSUAL", "W", "AllergyIntolerance.clinicalStatus")]
    error = {"coding": [{"code": "entered-in-error"}]}
    both = {**allergy, "verificationStatus": error, "clinicalStatus": {"coding": [{"code": "active"}]}}
    assert found(both) == [("FHIR_INVARIANT", "E", "AllergyIntolerance.clinicalStatus")]


def test_two_entries_with_one_url() -> None:
    entry = {"fullUrl": "urn:uuid:bbbbbbbb-0000-0000-0000-000000000001", "resource": {"resourceType": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry, entry]}
    assert found(bundle) == [("FHIR_INVARIANT", "E", "Bundle.entry[1].fullUrl")]


def test_nested_extensions_end_as_a_refusal() -> None:
    inner: dict[str, Any] = {"url": "a", "valueCode": "b"}
    for _ in range(25):
        inner = {"url": "a", "extension": [inner]}
    assert observation(extension=[inner]) == []
    for _ in range(20):
        inner = {"url": "a", "extension": [inner]}
    with pytest.raises(Unreadable):
        observation(extension=[inner])


def test_codes_that_the_library_cuts_are_in_our_table() -> None:
    for code in ("corrected", "cancelled", "entered-in-error", "unknown"):
        assert observation(status=code) == []
    report = {"resourceType": "DiagnosticReport", "status": "appended", "code": {"text": "x"}}
    assert found(report) == []


def test_every_resource_that_is_read_is_known_after_the_warm_up() -> None:
    warm_up()
    for name in ("Bundle", "List", "DocumentReference", "Binary", "Parameters", "Consent", "Composition"):
        assert is_resource(name)
        assert get_fhir_model_class(name).get_resource_type() == name
    for name in ("Foo", "DeviceUsage", "MedicinalProduct", "Resource", "Quantity", "", 3, None, ["List"]):
        assert not is_resource(name)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceType", "id", "code", "status", "extension", "url", "reference", "value"]), inner
        )
    ),
    max_leaves=12,
)
_NAMES = ["status", "code", "subject", "valueQuantity", "component", "contained", "extension", "_status", "effectiveDateTime"]


@given(st.dictionaries(st.sampled_from(_NAMES), _VALUES))
def test_any_resource_is_valid_or_refused(elements: dict[str, Any]) -> None:
    try:
        problems = observation(**elements)
    except Unreadable:
        return
    assert {code for code, _, _ in problems} <= CODES.keys()
