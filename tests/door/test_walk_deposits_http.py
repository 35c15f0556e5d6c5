"""GET /deposits/{id} over the real door: of what came by either door, while it waits, after it is decided, to nobody else."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.store.views import DepositPage
from tests.harness import posting
from tests.harness.broker_door import BrokerDoor
from tests.harness.config import Admitted, Facility, write
from tests.harness.day import AUBIER, VALMONT, biology, oru, render, someone
from tests.harness.door import Door
from tests.harness.posting import Answer

pytestmark = pytest.mark.door


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("deposits")
    facilities = [
        Facility(id=place.id, finess_ej=place.ej, finess_eg=(place.eg,), authorities={"ipp": (f"{place.oid}.1",)})
        for place in (VALMONT, AUBIER)
    ]
    sources = [
        Admitted(id="portal", establishment=VALMONT.id, application="PORTAL", facility=VALMONT.namespace),
        Admitted(id="sil", establishment=VALMONT.id, application="SIL-V", facility=VALMONT.namespace),
        Admitted(id="other", establishment=AUBIER.id, application="DPI-A", facility=AUBIER.namespace),
    ]
    with Door(folder, config=write(folder / "gateway.toml", facilities, sources)) as opened:
        yield opened


def shown(door: Door, receipt: str, source: str) -> Answer:
    return posting.ask(door.process.http_port, "GET", f"/deposits/{receipt}", headers={"X-DMP-Source": source})


def post(door: Door, body: bytes, source: str = "portal", **headers: str) -> Answer:
    given = {"X-DMP-Source": source, "Content-Type": "text/xml", **headers}
    return posting.ask(door.process.http_port, "POST", "/cda", body, given)


def test_what_is_shown_is_what_the_verb_shows(door: Door) -> None:
    patient = someone(door)
    by_http = post(door, render(biology(patient))).json["receipt"]
    by_mllp = door.send(oru(biology(patient))).page.deposit.id
    for receipt, source in ((by_http, "portal"), (by_mllp, "sil")):
        answer = shown(door, receipt, source)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert msgspec.json.decode(answer.content, type=DepositPage) == door.show(receipt)
        told = answer.json
        assert [line["action"] for line in told["trace"]] == ["document.add"]
        assert told["deposit"]["received_at"] <= told["decided_at"]


def test_what_the_door_refused_is_shown_with_its_codes(door: Door) -> None:
    answer = post(door, render(biology(someone())).replace(b"1.2.250.1.213.1.4.10", b"1.2.250.1.999.7"))
    assert answer.facts == (422, "INS_ABSENT")
    limit = time.monotonic() + 30
    while (found := shown(door, answer.json["receipt"], "portal")).status == 202:  # it is noted when there is time
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert (found.status, found.json["deposit"]["state"]) == (200, "rejected")
    assert found.json["deposit"]["codes"] == ["INS_ABSENT"]
    assert found.json["outcome"]["problems"][0]["place"]["path"].startswith("/ClinicalDocument/recordTarget[1]")


def test_nobody_else_is_told_anything(door: Door) -> None:
    patient = someone(door)
    receipt = post(door, render(biology(patient))).json["receipt"]
    own = shown(door, receipt, "portal")
    assert own.status == 200
    never = receipt[:-1] + ("0" if receipt[-1] != "0" else "1")
    answers = [
        shown(door, receipt, "other"),
        shown(door, receipt, "sil"),
        shown(door, never, "portal"),
        shown(door, "x", "other"),
    ]
    bare = []
    for answer in answers:
        assert answer.facts == (404, "DEPOSIT_UNKNOWN")
        told = answer.json
        assert told.pop("request")
        bare.append(told)
    assert all(told == bare[0] for told in bare)
    assert posting.ask(door.process.http_port, "GET", f"/deposits/{receipt}").facts == (403, "SOURCE_UNNAMED")


def test_a_deposit_is_shown_as_waiting_until_it_is_decided(door: Door) -> None:
    """From the moment in which its id is known it is 202 or 200, never 404."""
    patient = someone(door)
    seen = []
    for _ in range(20):
        answer = post(door, render(biology(patient)), Prefer="respond-async")
        assert answer.status == 202
        receipt = answer.json["receipt"]
        while (found := shown(door, receipt, "portal")).status == 202:
            seen.append(found.json["deposit"]["state"])
            assert found.headers["retry-after"].isdigit()
            time.sleep(0.002)
        assert (found.status, found.json["deposit"]["state"]) == (200, "stored")
    assert set(seen) <= {"queued"}


def test_it_is_read_while_the_gateway_writes(door: Door) -> None:
    patient = someone(door)
    receipt = post(door, render(biology(patient))).json["receipt"]
    for _ in range(30):
        assert post(door, render(biology(patient)), Prefer="respond-async").status == 202
        assert shown(door, receipt, "portal").status == 200
    door.drained()


@pytest.mark.faults
def test_over_a_broker_it_is_read_in_the_database_by_the_process_of_the_http_door(tmp_path: Path) -> None:
    with BrokerDoor(tmp_path) as door:
        patient = someone(door)
        accepted = post(door, render(biology(patient)), "portail-valmont")
        assert accepted.facts == (201, "stored")
        receipt = accepted.json["receipt"]
        answer = shown(door, receipt, "portail-valmont")
        assert answer.status == 200
        assert msgspec.json.decode(answer.content, type=DepositPage) == door.decided(receipt)
        assert shown(door, receipt, "sil-valmont").facts == (404, "DEPOSIT_UNKNOWN")
        # The same over MLLP, by another process, through the same broker: stored once.
        report = biology(patient)
        assert door.send(oru(report)).verdict == "stored"
        assert post(door, render(report), "portail-valmont").facts == (200, "duplicate")
        rejected = post(door, render(biology(patient)).replace(b"1.2.250.1.213.1.4.10", b"1.2.250.1.999.7"), "portail-valmont")
        assert rejected.facts == (422, "INS_ABSENT")
        assert door.decided(rejected.json["receipt"]).deposit.codes == ("INS_ABSENT",)
