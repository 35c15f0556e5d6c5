"""FHIR where the HTTP door is a process of its own, without a database: over the broker to the worker, and the answer back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness.broker_door import BrokerDoor
from tests.harness.day import radiology, someone
from tests.harness.door import stored_documents
from tests.harness.portal import consent, post_fhir, transaction

pytestmark = [pytest.mark.door, pytest.mark.faults]

PORTAL = {"X-DMP-Source": "portail-valmont"}
GAM = {"X-DMP-Source": "gam-valmont"}


def test_deposit_opposition_and_lifting_are_answered_by_the_record(tmp_path: Path) -> None:
    with BrokerDoor(tmp_path) as door:
        patient = someone(door)
        report = radiology(patient)
        first, again = (post_fhir(door, transaction(report), PORTAL) for _ in range(2))
        assert (first.status, again.status) == (200, 200), first.body
        told = [[entry["response"] for entry in said.json["entry"]] for said in (first, again)]
        assert [[one["status"] for one in each] for each in told] == [["201"] * 3, ["200"] * 3]
        assert [one["location"] for one in told[0]] == [one["location"] for one in told[1]]
        whose: dict[str, Any] = transaction(report)["entry"][0]["resource"]["contained"][0]

        def says(right: str) -> int:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            stated = consent(patient, right, now) | {"contained": [whose], "patient": {"reference": "#patient"}}
            return post_fhir(door, stated, GAM, "/fhir/Consent").status

        assert says("deny") == 201
        other = radiology(patient)
        refused = post_fhir(door, transaction(other), PORTAL)
        assert (refused.status, refused.code) == (403, "OPPOSED")
        assert says("permit") == 201
        assert post_fhir(door, transaction(other), PORTAL).status == 200
        assert sorted(stored_documents(door.record(patient.ins))) == sorted([report.id, other.id])
