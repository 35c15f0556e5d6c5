"""Documents added, replaced, deleted and sent again: over the real door, into the real store."""

from dataclasses import replace

import msgspec
import pytest

from gateway.mappers.common.carrier import restore
from gateway.model.submission import Carrier
from gateway.store.packing import unpack
from tests.harness.day import (
    DPI_A,
    VALMONT,
    Document,
    Patient,
    biology,
    letter,
    mdm,
    oru,
    radiology,
    says,
    someone,
    stamp,
)
from tests.harness.door import END, START, Door, stored_documents

pytestmark = pytest.mark.door

STORED = ("AA", "stored", ())
DELETED = ("AA", "deleted", ())
REFUSED = ("AA", "refused", ("OPPOSED",))
YESTERDAY = stamp(days=-1)


def states(door: Door, ins: str) -> dict[str, str]:
    return {document.unique_id: document.state for document in door.record(ins).documents}


def test_a_document_is_added_replaced_deleted(door: Door) -> None:
    patient = someone(door)
    first = radiology(patient)
    second = radiology(patient, replaces=first)
    assert door.send(mdm(first)).facts == STORED
    assert door.send(mdm(second, act="replace")).facts == STORED
    assert states(door, patient.ins) == {first.id: "replaced", second.id: "current"}
    assert door.send(mdm(second, act="delete")).facts == DELETED
    assert states(door, patient.ins) == {first.id: "replaced", second.id: "deleted"}


def test_three_messages_with_one_control_id_are_three_messages(door: Door) -> None:
    patient = someone(door)
    first = radiology(patient)
    second = radiology(patient, replaces=first)
    assert door.send(mdm(first, message_id="015")).verdict == "stored"
    replaced = door.send(mdm(second, act="replace", message_id="015"))
    deleted = door.send(mdm(second, act="delete", message_id="015"))
    assert replaced.facts == ("AA", "stored", ("MESSAGE_ID_REUSED",))
    assert deleted.facts == ("AA", "deleted", ("MESSAGE_ID_REUSED",))
    assert states(door, patient.ins) == {first.id: "replaced", second.id: "deleted"}
    lines = door.deposits("--message", "015", "--patient", patient.ins)
    assert [line.state for line in lines] == ["deleted", "stored", "stored"]
    assert len({line.id for line in lines}) == 3


def test_the_same_message_again_is_a_duplicate_with_the_first_outcome(door: Door) -> None:
    patient = someone(door)
    message = oru(biology(patient))
    first = door.send(message)
    again = door.send(message)
    assert first.facts == STORED
    assert again.facts == ("AA", "duplicate", ())
    assert again.rule == "D-6"
    assert again.page.outcome is not None and again.page.outcome.first == first.page.deposit.id
    assert len(door.record(patient.ins).documents) == 1


def test_the_same_document_by_another_message_is_a_duplicate(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    door.send(oru(report))
    assert door.send(oru(report, raised=("DESTDMP", "ACK_RECEPTION"))).verdict == "duplicate"


def test_a_duplicate_stays_one_under_an_opposition_and_on_a_closed_record(door: Door) -> None:
    patient = someone(door)
    message = oru(biology(patient))
    door.send(message)
    door.send(says(patient, "IO", stamp(days=1)))
    assert door.send(message).verdict == "duplicate"
    door.verb("record", "close", "--ins", patient.ins)
    assert door.send(message).verdict == "duplicate"


def test_the_same_id_with_other_content_is_refused(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    door.send(oru(report))
    assert door.send(oru(replace(report, title="Un autre titre"))).facts == ("AA", "refused", ("OTHER_CONTENT",))
    assert door.send(oru(report, raised=("DESTDMP", "MASQUE_PS"))).facts == ("AA", "refused", ("OTHER_CONTENT",))
    (document,) = door.record(patient.ins).documents
    assert (document.title, document.masked) == (report.title, False)


def test_a_deletion_sent_again_is_a_duplicate(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    door.send(oru(report))
    assert door.send(oru(report, act="delete")).facts == DELETED
    assert door.send(oru(report, act="delete")).verdict == "duplicate"


def test_a_deletion_before_its_document_is_kept_for_it(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    assert door.send(oru(report, act="delete")).facts == ("AA", "deleted", ("TARGET_UNKNOWN",))
    added = door.send(oru(report))
    assert added.verdict == "deleted"
    assert states(door, patient.ins) == {report.id: "deleted"}
    assert door.rows("SELECT count(*) FROM source_part WHERE receipt = ?", added.page.deposit.id) == [(0,)]


def test_a_replacement_before_its_document_sends_it_to_the_history(door: Door) -> None:
    patient = someone(door)
    first = biology(patient)
    second = biology(patient, replaces=first)
    assert door.send(oru(second, act="replace")).facts == ("AA", "stored", ("PARENT_UNKNOWN",))
    assert door.send(oru(first)).verdict == "replaced"
    assert states(door, patient.ins) == {first.id: "replaced", second.id: "current"}


def test_what_was_replaced_can_neither_be_replaced_nor_deleted(door: Door) -> None:
    patient = someone(door)
    first = biology(patient)
    door.send(oru(first))
    door.send(oru(biology(patient, replaces=first), act="replace"))
    before = states(door, patient.ins)
    stale = ("AA", "refused", ("VERSION_STALE",))
    assert door.send(oru(biology(patient, replaces=first), act="replace")).facts == stale
    assert door.send(oru(first, act="delete")).facts == stale
    assert states(door, patient.ins) == before


def test_another_establishment_can_neither_replace_nor_delete(door: Door) -> None:
    patient = someone(door)
    own = letter(patient, VALMONT)
    assert door.send(mdm(own)).facts == STORED
    foreign = ("AA", "refused", ("NOT_AUTHOR",))
    assert door.send(mdm(own, act="delete", source=DPI_A)).facts == foreign
    successor = replace(letter(patient, VALMONT), replaces=own)
    assert door.send(mdm(successor, act="replace", source=DPI_A)).facts == foreign
    assert states(door, patient.ins) == {own.id: "current"}


# -- under an opposition


def test_a_deletion_passes_under_an_opposition_and_a_replacement_does_not(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    door.send(oru(report))
    door.send(says(patient, "IO", YESTERDAY))
    assert door.send(oru(biology(patient, replaces=report), act="replace")).facts == REFUSED
    assert states(door, patient.ins) == {report.id: "current"}
    deleted = door.send(oru(report, act="delete"))
    assert deleted.facts == DELETED
    assert states(door, patient.ins) == {report.id: "deleted"}


# -- two documents in one message


def pair(patient: Patient) -> tuple[Document, Document]:
    """Return the structured report and its PDF, each with its id."""
    structured = biology(patient)
    return structured, replace(structured, number=biology(patient).number, kind="level 1", results=())


def test_two_documents_of_one_message_are_stored_together(door: Door) -> None:
    patient = someone(door)
    structured, printed = pair(patient)
    ended = door.send(oru(structured, printed))
    assert ended.facts == STORED
    assert ended.documents == [(structured.id, "stored"), (printed.id, "stored")]
    assert stored_documents(door.record(patient.ins)) == sorted([structured.id, printed.id])
    assert {document.receipt for document in door.record(patient.ins).documents} == {ended.page.deposit.id}


def test_one_of_two_with_other_content_refuses_both_and_nothing_of_the_other_is_kept(door: Door) -> None:
    patient = someone(door)
    structured, printed = pair(patient)
    assert door.send(oru(printed)).facts == STORED
    marked = "REFUSED-WITH-THE-OTHER"
    ended = door.send(oru(replace(structured, title=marked), replace(printed, title="Un autre titre")))
    assert ended.facts == ("AA", "refused", ("OTHER_CONTENT",))
    assert ended.documents == [(structured.id, "refused"), (printed.id, "refused")]
    assert states(door, patient.ins) == {printed.id: "current"}
    assert door.rows("SELECT count(*) FROM source_part WHERE receipt = ?", ended.page.deposit.id) == [(0,)]
    for suffix in ("", "-wal"):
        assert marked.encode() not in (door.data / f"store.db{suffix}").read_bytes()


def test_one_of_two_there_already_does_not_hinder_the_other(door: Door) -> None:
    patient = someone(door)
    structured, printed = pair(patient)
    door.send(oru(printed))
    ended = door.send(oru(structured, printed))
    assert ended.facts == STORED
    assert ended.documents == [(structured.id, "stored"), (printed.id, "duplicate")]
    assert stored_documents(door.record(patient.ins)) == sorted([structured.id, printed.id])


def test_two_documents_under_an_opposition_are_both_refused(door: Door) -> None:
    patient = someone(door)
    door.send(says(patient, "IO", YESTERDAY))
    structured, printed = pair(patient)
    ended = door.send(oru(structured, printed))
    assert ended.facts == REFUSED
    assert {verdict for _, verdict in ended.documents} == {"refused"}
    assert states(door, patient.ins) == {}


# -- flags


def test_what_is_not_for_the_dmp_is_acknowledged_and_goes_nowhere(door: Door) -> None:
    patient = someone(door)
    report = biology(patient)
    ended = door.send(oru(report, raised=("DESTMSSANTEPS",)))
    assert ended.facts == ("AA", "ignored", ())
    assert ended.page.deposit.document_ids == (report.id,)
    assert states(door, patient.ins) == {}
    assert door.send(oru(report)).facts == STORED, "an ignored message must not be remembered by content"


def test_masked_and_not_yet_told_are_stored_so(door: Door) -> None:
    patient = someone(door)
    masked, hidden = biology(patient), biology(patient)
    assert door.send(oru(masked, raised=("DESTDMP", "MASQUE_PS"))).facts == STORED
    assert door.send(oru(hidden, raised=("DESTDMP", "INVISIBLE_PATIENT"))).facts == STORED
    shown = {
        document.unique_id: (document.masked, document.hidden_from_patient) for document in door.record(patient.ins).documents
    }
    assert shown == {masked.id: (True, False), hidden.id: (False, True)}


def test_a_self_rendering_document_is_stored_as_what_it_is(door: Door) -> None:
    patient = someone(door)
    report = replace(biology(patient), self_rendering=True)
    assert door.send(oru(report)).facts == STORED
    query = "SELECT json_extract(entry, '$.mime_type'), json_extract(entry, '$.title') FROM document WHERE unique_id = ?"
    assert door.rows(query, report.id) == [("application/xslt+xml", report.title)]


# -- what was taken comes back as it came


def test_the_message_comes_back_byte_for_byte(door: Door) -> None:
    patient = someone(door)
    message = oru(biology(patient), note="Prélèvement à jeun.")
    receipt = door.send(message).page.deposit.id
    parts = door.rows("SELECT encoding, bytes FROM source_part WHERE receipt = ? ORDER BY part", receipt)
    ((carriers,),) = door.rows("SELECT carriers FROM source_form WHERE receipt = ?", receipt)
    assert restore([unpack(*part) for part in parts], msgspec.json.decode(carriers, type=tuple[Carrier, ...])) == message


def test_from_its_answer_on_a_deposit_is_shown_whatever_happens_meanwhile(door: Door) -> None:
    patient = someone(door)
    with door.connect() as sender:
        for _ in range(15):
            receipt = sender.ask(oru(biology(patient))).reference
            while (page := door.show(receipt)).outcome is None:
                assert page.deposit.state == "queued"
            assert page.deposit.state == "stored"


def test_messages_sent_ahead_are_answered_in_their_order(door: Door) -> None:
    patient = someone(door)
    good = [oru(biology(patient), message_id=f"AHEAD-{number:02}-{patient.number}") for number in range(12)]
    sent = [each for message in good for each in (message, message.replace(b"|VALI", b"|PROV").replace(b"AHEAD", b"WRONG"))]
    with door.connect() as sender:
        sender.write(b"".join(START + message + END for message in sent))
        answers = [sender.answer() for _ in sent]
    expected = [(code, message.split(b"|")[9].decode()) for message, code in zip(sent, ("AA", "AE") * len(good), strict=True)]
    assert [(answer.code, answer.control_id) for answer in answers if answer] == expected
    door.drained()
    assert len(door.record(patient.ins).documents) == len(good)
