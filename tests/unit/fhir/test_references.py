"""Where references lead: by fullUrl, #id and identifier, never by position."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.fhir.references import References
from gateway.mappers.fhir.values import conditional, same_id, unique_id, when
from gateway.mappers.fhir.walk import Node
from gateway.model.when import Precision, Zone

ONE, TWO = "urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002"


def patient(id_: str, value: str = "1", version: str = "1") -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id_,
        "meta": {"versionId": version},
        "identifier": [{"system": "urn:s", "value": value}],
    }


def bundle(*entries: tuple[str, dict[str, Any]]) -> Node:
    entry = [{"fullUrl": url, "resource": resource} for url, resource in entries]
    return Node({"resourceType": "Bundle", "entry": entry}, "Bundle")


def resolve(root: Node, reference: dict[str, Any], entry: int = 0) -> tuple[str | None, str]:
    holder = root.all("entry")[entry].one("resource") if root.type == "Bundle" else root
    assert holder is not None
    found = References(root).resolve(Node(reference, "Reference"), holder)
    return (None if found.node is None else found.node.path), found.failed


def test_by_full_url_whatever_the_order() -> None:
    for root in (bundle((ONE, patient("a")), (TWO, patient("b"))), bundle((TWO, patient("b")), (ONE, patient("a")))):
        path, _ = resolve(root, {"reference": TWO})
        assert path is not None
        number = int(path.partition("[")[2].partition("]")[0])
        assert root.all("entry")[number].text("fullUrl") == TWO
    assert resolve(bundle((ONE, patient("a"))), {"reference": TWO}) == (None, "no entry with this fullUrl")


def test_a_version_is_matched_on_the_entry_of_that_version() -> None:
    url = "http://base/Patient/a"
    root = bundle((url, patient("a", version="1")), (url, patient("a", version="2")))
    assert resolve(root, {"reference": f"{url}/_history/2"}) == ("Bundle.entry[1].resource", "")
    assert resolve(root, {"reference": url}) == (None, "several entries with this fullUrl")
    assert resolve(root, {"reference": f"{url}/_history/3"}) == (None, "no entry with this fullUrl")


def test_a_relative_reference_takes_the_base_of_its_own_entry() -> None:
    root = bundle(
        ("http://base/Patient/a", patient("a")),
        ("http://base/Patient/b", patient("b")),
        ("http://other/Patient/b", patient("b")),
    )
    assert resolve(root, {"reference": "Patient/b"}, entry=0) == ("Bundle.entry[1].resource", "")
    assert resolve(root, {"reference": "Patient/b"}, entry=2) == ("Bundle.entry[2].resource", "")


def test_a_relative_reference_under_a_urn_is_the_one_entry_of_that_type_and_id_and_told() -> None:
    root = bundle((ONE, patient("a")), (TWO, patient("b")))
    holder = root.all("entry")[0].one("resource")
    assert holder is not None
    found = References(root).resolve(Node({"reference": "Patient/b"}, "r"), holder)
    assert found.node is not None
    assert found.node.path == "Bundle.entry[1].resource"
    assert found.unusual
    assert resolve(root, {"reference": "Patient/c"}) == (None, "no entry of that type and id")
    assert resolve(root, {"reference": "Practitioner/b"}) == (None, "no entry of that type and id")
    twice = bundle((ONE, patient("a")), (TWO, patient("a", version="2")))
    assert resolve(twice, {"reference": "Patient/a"}) == (None, "several entries of that type and id")


def test_contained_of_the_same_resource_only() -> None:
    inside = {"resourceType": "List", "contained": [patient("a")]}
    root = bundle((ONE, inside), (TWO, {"resourceType": "List"}))
    assert resolve(root, {"reference": "#a"}) == ("Bundle.entry[0].resource.contained[0]", "")
    assert resolve(root, {"reference": "#"}) == ("Bundle.entry[0].resource", "")
    assert resolve(root, {"reference": "#a"}, entry=1) == (None, "no contained resource of that id")


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient?identifier=urn:s|2"},
        {"reference": "Patient?identifier=urn%3As%7C2"},
        {"type": "Patient", "identifier": {"system": "urn:s", "value": "2"}},
        {"identifier": {"system": "urn:s", "value": "2"}},
    ],
)
def test_by_identifier_the_entry_and_the_identifier_itself(reference: dict[str, Any]) -> None:
    root = bundle((ONE, patient("a", "1")), (TWO, patient("b", "2")))
    found = References(root).resolve(Node(reference, "r"), root)
    assert found.node is not None
    assert found.node.path == "Bundle.entry[1].resource"
    assert found.identifier == ("urn:s", "2")
    alone = References(bundle()).resolve(Node(reference, "r"), root)
    assert (alone.node, alone.identifier, alone.failed) == (None, ("urn:s", "2"), "")
    several = bundle((ONE, patient("a", "2")), (TWO, patient("b", "2")))
    assert References(several).resolve(Node(reference, "r"), root).failed == "several entries with this identifier"


def test_a_display_leads_nowhere_and_is_no_failure() -> None:
    assert resolve(bundle((ONE, patient("a"))), {"display": "Dr X"}) == (None, "")


@pytest.mark.parametrize(
    ("reference", "read"),
    [
        ("Patient?identifier=urn:oid:1.2|3", ("Patient", "urn:oid:1.2", "3")),
        ("Patient?identifier=|3", ("Patient", None, "3")),
        ("Patient?identifier=3", ("Patient", None, "3")),
        ("Patient?identifier=urn:s|", None),
        ("Patient?identifier=a|b&active=true", None),
        ("Patient?name=x", None),
        ("Patient/1", None),
        ("?identifier=a|b", None),
    ],
)
def test_conditional_references(reference: str, read: tuple[str, str | None, str] | None) -> None:
    assert conditional(reference) == read


def test_unique_ids_of_urns_and_of_systems() -> None:
    assert unique_id("urn:ietf:rfc:3986", "urn:oid:1.2.3") == "1.2.3"
    assert unique_id("urn:oid:1.2", "x") == "1.2^x"
    assert unique_id(None, "urn:uuid:ABCD") == "ABCD"
    assert unique_id("urn:oid:1.2", None) is None
    lower = "0f1e2d3c-0000-4000-8000-00000000000a"
    assert same_id(lower, lower.upper())
    assert not same_id("1.2^a", "1.2^A")


@pytest.mark.parametrize(
    ("written", "iso", "precision", "zone"),
    [
        ("2026", "2026", Precision.YEAR, Zone.NONE),
        ("2026-03", "2026-03", Precision.MONTH, Zone.NONE),
        ("2026-03-10", "2026-03-10", Precision.DAY, Zone.NONE),
        ("2026-03-10T11:20:00+01:00", "2026-03-10T11:20:00+01:00", Precision.SECOND, Zone.WRITTEN),
        ("2026-03-10T11:20:00Z", "2026-03-10T11:20:00+00:00", Precision.SECOND, Zone.WRITTEN),
        ("2026-03-10T11:20:00.1234567890Z", "2026-03-10T11:20:00.123456789+00:00", Precision.FRACTION, Zone.WRITTEN),
    ],
)
def test_dates_keep_what_was_written(written: str, iso: str, precision: Precision, zone: Zone) -> None:
    read = when(written)
    assert read is not None
    assert (read.written, read.iso, read.precision, read.zone) == (written, iso, precision, zone)


@pytest.mark.parametrize("written", [None, "", "1974-00-00", "2026-03-10T11:20Z", "0999-01-01", "2026-02-30", "10/03/2026"])
def test_what_is_no_date_is_none(written: str | None) -> None:
    assert when(written) is None


@given(st.text(max_size=30), st.text(alphabet="#/?=|:aP0.-_history", max_size=20))
def test_any_reference_resolves_or_fails(id_: str, reference: str) -> None:
    root = bundle((ONE, patient(id_)), (f"http://base/Patient/{id_}", patient(id_)))
    found = References(root).resolve(Node({"reference": reference}, "r"), root)
    assert found.node is not None or found.identifier is not None or found.failed or not reference.strip()
