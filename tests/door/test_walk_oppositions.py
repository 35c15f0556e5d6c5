"""What a patient says to an admissions system, and what becomes of the reports: over the real door, into the real store."""

import base64
import re

import pytest

from tests.harness.day import (
    AUBIER,
    DPI_A,
    GAM_A,
    GAM_V,
    SIL_V,
    VALMONT,
    Patient,
    biology,
    clinic_letter,
    ins_cx,
    ipp,
    letter,
    local_cx,
    mdm,
    moment,
    opened,
    oru,
    radiology,
    says,
    someone,
    stamp,
)
from tests.harness.door import Door, errors_of, stored_documents

pytestmark = pytest.mark.door

REFUSED = ("AA", "refused", ("OPPOSED",))
STORED = ("AA", "stored", ())
APPLIED = ("AA", "applied", ())
YESTERDAY = stamp(days=-1)


def in_force(door: Door, ins: str) -> list[str]:
    """Return who collected the oppositions in force."""
    return [line.statement.collected_by for line in door.record(ins).statements if line.in_force]


def withheld(door: Door, ins: str) -> list[str]:
    return sorted(document.unique_id for document in door.record(ins).documents if document.withheld)


def test_an_opposition_told_to_the_gam_refuses_every_system_of_that_establishment_and_no_other(door: Door) -> None:
    patient = someone(door)
    assert door.send(says(patient, "IO", YESTERDAY, event="A01")).facts == APPLIED
    refused = door.send(oru(biology(patient)))
    assert refused.facts == REFUSED
    assert refused.rule == "O-2"
    assert refused.page.outcome is not None and refused.page.outcome.statement == door.record(patient.ins).statements[0].id
    assert door.send(mdm(radiology(patient))).facts == REFUSED
    assert door.send(clinic_letter(patient)).facts == STORED
    page = door.record(patient.ins)
    assert [(document.owner, document.title) for document in page.documents] == [(AUBIER.id, page.documents[0].title)]
    assert in_force(door, patient.ins) == [VALMONT.id]


def test_an_opposition_told_to_the_clinic_binds_the_clinic_only(door: Door) -> None:
    patient = someone(door)
    assert door.send(says(patient, "IO", YESTERDAY, source=GAM_A)).facts == APPLIED
    assert door.send(clinic_letter(patient)).facts == REFUSED
    assert door.send(oru(biology(patient))).facts == STORED


def test_a_refusal_keeps_ids_and_codes_only(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", YESTERDAY))
    report = biology(patient)
    refused = door.send(oru(report))
    assert refused.facts == REFUSED
    assert refused.page.deposit.document_ids == (report.id,)
    assert refused.page.deposit.patient == patient.ins
    receipt = refused.page.deposit.id
    assert door.rows("SELECT document_ids, code FROM refusal WHERE receipt = ?", receipt) == [(f'["{report.id}"]', "OPPOSED")]
    assert door.rows("SELECT count(*) FROM source_part WHERE receipt = ?", receipt) == [(0,)]
    assert door.rows("SELECT count(*) FROM document WHERE unique_id = ?", report.id) == [(0,)]
    for suffix in ("", "-wal"):
        assert report.title.encode() not in (door.data / f"store.db{suffix}").read_bytes()


def test_a_document_that_names_the_establishment_is_refused_whoever_sends_it(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", YESTERDAY))
    assert door.send(mdm(letter(patient, VALMONT), source=DPI_A)).facts == REFUSED, "its custodian is the hospital"
    assert door.send(clinic_letter(patient)).facts == STORED


def test_only_a_source_with_the_grant_states_an_opposition(door: Door) -> None:
    patient = someone(door)
    answer = door.ask(says(patient, "IO", YESTERDAY, source=SIL_V))
    assert (answer.code, errors_of(answer)[0][0]) == ("AR", "ZFA_NOT_ALLOWED")
    assert door.rows("SELECT 1 FROM receipt WHERE id = ?", answer.reference) == [], "the sender keeps it: nothing is decided"
    assert door.record(patient.ins).statements == ()
    answer = door.ask(oru(biology(patient), source=GAM_V))
    assert (answer.code, errors_of(answer)[0][0]) == ("AE", "SOURCE_NOT_ALLOWED")
    assert door.record(patient.ins).documents == ()


# -- identities


def test_an_opposition_under_the_ipp_alone_refuses_the_report_under_ins_and_ipp(door: Door) -> None:
    patient = someone(door)
    alone = (local_cx(patient.local[VALMONT.id], VALMONT),)
    assert door.send(says(patient, "IO", YESTERDAY, event="A01", status="PROV", ids=alone)).facts == APPLIED
    assert door.send(oru(biology(patient))).facts == REFUSED
    assert door.record(patient.ins).statements == ()
    (line,) = door.record(local=ipp(patient)).statements
    assert line.in_force and line.because == "statement"


def test_the_local_identifier_of_the_document_counts_where_pid_3_has_none(door: Door) -> None:
    patient = someone(door)
    alone = (local_cx(patient.local[VALMONT.id], VALMONT),)
    door.send(says(patient, "IO", YESTERDAY, status="PROV", ids=alone))
    under_ins = (ins_cx(patient.ins),)
    assert door.send(oru(biology(patient), ids=under_ins)).facts == REFUSED
    assert door.send(without_local_id(oru(biology(patient), ids=under_ins), patient)).facts == STORED


def test_an_opposition_beside_an_ins_with_a_wrong_key_is_kept_under_the_ipp(door: Door) -> None:
    patient = someone(door)
    wrong = patient.ins[:-2] + f"{int(patient.ins[-2:]) % 97 + 1:02}"
    told = door.send(says(patient, "IO", YESTERDAY, ids=(local_cx(patient.local[VALMONT.id], VALMONT), ins_cx(wrong))))
    assert told.facts == ("AA", "applied", ("INS_UNQUALIFIED_DROPPED",))
    assert errors_of(told.answer) == [("INS_UNQUALIFIED_DROPPED", "PID^1^3^2", "W")]
    assert door.send(oru(biology(patient))).facts == REFUSED


def test_an_ins_linked_later_brings_the_opposition_with_it(door: Door) -> None:
    patient = someone(door)
    alone = (local_cx(patient.local[VALMONT.id], VALMONT),)
    door.send(says(patient, "IO", YESTERDAY, status="PROV", ids=alone))
    under_ins = (ins_cx(patient.ins),)
    assert door.send(says(patient, None)).facts == APPLIED
    report = biology(patient)
    # The CDA names the IPP too: PID-3 alone is not enough to show that the link is what refuses.
    refused = door.send(without_local_id(oru(report, ids=under_ins), patient))
    assert refused.facts == REFUSED
    (line,) = door.record(patient.ins).statements
    assert line.in_force and line.because == "link"


def test_a_report_under_the_ins_alone_passes_until_the_link(door: Door) -> None:
    patient = someone(door)
    alone = (local_cx(patient.local[VALMONT.id], VALMONT),)
    before = stamp(days=-2)
    door.send(says(patient, "IO", before, status="PROV", ids=alone))
    early = biology(patient)
    assert door.send(without_local_id(oru(early, ids=(ins_cx(patient.ins),)), patient)).facts == STORED
    elsewhere = door.send(clinic_letter(patient))
    assert elsewhere.facts == STORED
    assert withheld(door, patient.ins) == []
    door.send(says(patient, None))
    assert withheld(door, patient.ins) == [early.id]


def without_local_id(message: bytes, patient: Patient) -> bytes:
    """Return the message with the IPP taken out of its CDA."""
    found = re.search(rb"\^Base64\^([A-Za-z0-9+/=]+)", message)
    assert found is not None
    document = base64.b64decode(found.group(1))
    mark = re.search(rb'<id root="[0-9.]+" extension="' + patient.local[VALMONT.id].encode() + rb'"/>', document)
    if mark is None:
        mark = re.search(rb'<id extension="' + patient.local[VALMONT.id].encode() + rb'" root="[0-9.]+"/>', document)
    assert mark is not None
    bare = document.replace(mark.group(), b"")
    return message.replace(found.group(1), base64.b64encode(bare))


def test_an_opposition_before_the_record_exists_binds_it_from_its_opening(door: Door) -> None:
    patient = someone()
    assert door.send(says(patient, "IO", YESTERDAY)).facts == APPLIED
    assert door.send(oru(biology(patient))).facts == ("AA", "refused", ("RECORD_ABSENT",))
    opened(door, patient)
    assert door.send(oru(biology(patient))).facts == REFUSED
    assert door.send(clinic_letter(patient)).facts == STORED


def test_a_late_opposition_withholds_what_was_stored_since_it_was_stated(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    assert door.send(oru(report)).facts == STORED
    assert door.send(clinic_letter(patient)).facts == STORED
    door.send(says(patient, "IO", YESTERDAY))
    assert withheld(door, patient.ins) == [report.id]


def test_an_opposition_stated_after_a_document_leaves_it(door: Door) -> None:
    patient = someone(door)
    assert door.send(oru(biology(patient))).facts == STORED
    door.send(says(patient, "IO", stamp(days=1)))
    assert withheld(door, patient.ins) == []
    assert door.send(oru(biology(patient))).facts == REFUSED


# -- dates


def test_an_older_allowance_does_not_lift(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", stamp(days=-2)))
    assert door.send(says(patient, "INO", stamp(days=-3))).facts == (*APPLIED[:2], ("ALLOWANCE_WITHOUT_EFFECT",))
    assert door.send(oru(biology(patient))).facts == REFUSED


def test_a_later_allowance_lifts_and_the_refused_report_sent_again_is_stored(door: Door) -> None:
    patient = someone(door)
    message = oru(biology(patient))
    door.send(says(patient, "IO", stamp(days=-2)))
    assert door.send(message).facts == REFUSED
    door.send(says(patient, "INO", stamp(days=-1)))
    assert in_force(door, patient.ins) == []
    assert door.send(message).facts == STORED
    assert len(stored_documents(door.record(patient.ins))) == 1


def test_an_opposition_dated_ahead_counts_from_its_reception_and_can_be_lifted(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", "20620310150000"))
    refused = door.send(oru(biology(patient)))
    assert refused.facts == REFUSED
    assert refused.rule == "O-5"
    door.send(says(patient, "INO", moment()))
    assert in_force(door, patient.ins) == []
    assert door.send(oru(biology(patient))).facts == STORED


@pytest.mark.parametrize("order", ["IO INO", "INO IO"])
def test_of_two_statements_of_one_instant_the_opposition_wins(door: Door, order: str) -> None:
    patient = someone(door)
    for position in order.split():
        door.send(says(patient, position, YESTERDAY))
    refused = door.send(oru(biology(patient)))
    assert refused.facts == REFUSED
    assert refused.rule == "O-4"


@pytest.mark.parametrize("order", ["IO INO", "INO IO"])
def test_a_day_without_hour_is_its_end_for_an_opposition(door: Door, order: str) -> None:
    patient = someone(door)
    at = {"IO": stamp(days=-3)[:8], "INO": stamp(days=-3)[:8] + "170000"}
    for position in order.split():
        door.send(says(patient, position, at[position]))
    assert door.send(oru(biology(patient))).facts == REFUSED
    door.send(says(patient, "INO", stamp(days=-2)[:8]))
    assert door.send(oru(biology(patient))).facts == STORED


def test_an_undated_opposition_is_dated_by_the_event(door: Door) -> None:
    patient = someone(door)
    sent = stamp(days=-2)
    assert door.send(says(patient, "IO", sent=sent)).facts == APPLIED
    (line,) = door.record(patient.ins).statements
    assert line.statement.basis == "EVN-2"
    assert line.statement.collected_at is not None
    assert line.statement.collected_at.start.strftime("%Y%m%d%H%M%S%z") == sent
    door.send(says(patient, "INO", stamp(days=-3)))
    assert door.send(oru(biology(patient))).facts == REFUSED
    door.send(says(patient, "INO", stamp(days=-1)))
    assert door.send(oru(biology(patient))).facts == STORED


# -- values


@pytest.mark.parametrize("before", ["IO", "INO", None])
@pytest.mark.parametrize("then", ["NA", None])
def test_not_collected_changes_nothing(door: Door, before: str | None, then: str | None) -> None:
    patient = someone(door)
    if before:
        door.send(says(patient, before, stamp(days=-2)))
    assert door.send(says(patient, then, YESTERDAY if then else "")).facts == APPLIED
    assert len(door.record(patient.ins).statements) == (1 if before else 0)
    assert door.send(oru(biology(patient))).facts == (REFUSED if before == "IO" else STORED)


def test_a_null_value_leaves_the_statement_and_asks_a_person(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", stamp(days=-2)))
    told = door.send(says(patient, '""', YESTERDAY))
    assert told.facts == ("AA", "applied", ("ZFA_NULL",))
    assert errors_of(told.answer) == [("ZFA_NULL", "ZFA^1^9", "W")]
    page = door.record(patient.ins)
    assert page.tasks == ("opposition.null",)
    assert [line.in_force for line in page.statements] == [True]
    assert door.send(oru(biology(patient))).facts == REFUSED


# -- events


def test_a_correction_brings_its_statement(door: Door) -> None:
    patient = someone(door)
    assert door.send(says(patient, "IO", YESTERDAY, event="Z99")).facts == APPLIED
    assert door.send(oru(biology(patient))).facts == REFUSED


def test_what_does_not_concern_the_record_is_acknowledged(door: Door) -> None:
    patient = someone(door)
    ended = door.send(says(patient, None, event="A60"))
    assert ended.facts == ("AA", "ignored", ("EVENT_UNKNOWN",))
    assert door.record(patient.ins).statements == ()


@pytest.mark.parametrize("message_id", ["", "ALWAYS-THE-SAME"])
def test_each_change_of_mind_counts_whatever_its_control_id(door: Door, message_id: str) -> None:
    patient = someone(door)
    for days, position in ((-5, "IO"), (-4, "INO"), (-3, "IO"), (-2, "INO"), (-1, "IO")):
        told = door.send(says(patient, position, stamp(days=days), message_id=message_id))
        assert (told.answer.code, told.verdict) == ("AA", "applied")
        assert bool(in_force(door, patient.ins)) is (position == "IO")
    assert len(door.record(patient.ins).statements) == 5


def test_the_same_statement_again_changes_nothing(door: Door) -> None:
    patient = someone(door)
    told = says(patient, "IO", stamp(days=-2))
    first = door.send(told)
    door.send(says(patient, "INO", YESTERDAY))
    again = door.send(told)
    assert again.facts == ("AA", "duplicate", ())
    assert again.page.outcome is not None and again.page.outcome.first == first.page.deposit.id
    assert in_force(door, patient.ins) == []
