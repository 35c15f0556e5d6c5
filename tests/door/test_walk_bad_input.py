"""What must not be taken is answered with its code and place, and harms nothing: over the real door."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.demo.messages import sample
from gateway.mappers.hl7v2.ack import Answered
from gateway.store.packing import unpack
from tests.harness.day import ADELE, PATIENTS, biology, opened, oru, radiology, someone
from tests.harness.door import END, START, Door, Sender, errors_of

pytestmark = pytest.mark.door

SAMPLES: Final = Path(__file__).resolve().parents[2] / "samples"
#: In an order in which each message finds what it needs: what it replaces or deletes, and no opposition before the documents.
EXPECTED: Final[list[dict[str, Any]]] = json.loads((SAMPLES / "expected.json").read_text(encoding="utf-8"))
#: Text of the samples that is somebody's: names, titles, results.
PERSONAL: Final = (b"ESSAI-", b"MODELE-", b"Compte rendu", b"Radiographie", b"Potassium", b"BASTIEN", b"Place de l")


@dataclass
class Walked:
    """The gateway that was sent every sample, and its answers."""

    door: Door
    answers: dict[str, Answered | None]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    with Door(tmp_path_factory.mktemp("samples")) as door:
        for patient in PATIENTS:
            opened(door, patient)
        answers = {row["file"]: sent(door, row["file"]) for row in EXPECTED}
        yield Walked(door, answers)


def sent(door: Door, file: str) -> Answered | None:
    """Send a sample; wait until a deposit is decided, so that each message meets what the former left."""
    with door.connect() as sender:
        if file.endswith(".mllp"):
            sender.write((SAMPLES / file).read_bytes())
            sender.write_end()
            answered = sender.answer()
        else:
            answered = sender.ask(sample(file))
    if answered is not None and answered.code == "AA":
        door.decided(answered.reference)
    return answered


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"])
def test_every_sample_is_answered_and_ends_as_its_table_says(walked: Walked, row: dict[str, Any]) -> None:
    answered = walked.answers[row["file"]]
    assert answered is not None
    assert answered.code == row["answer"]
    if row["code"] is None or row["severity"] == "I":
        # The samples meet one another in one store: an older statement is told that a later one stands against it.
        met = {"STATEMENT_SUPERSEDED", "ALLOWANCE_WITHOUT_EFFECT"}
        told = [error for error in errors_of(answered) if error[2] != "I" and error[0] not in met]
        assert told == []
    if row["code"] is not None:
        code, place, severity = errors_of(answered)[0]
        assert (code, severity) == (row["code"], row["severity"])
        assert f"{place}^".startswith(f"{row['place']}^" if row["place"] else "")
        assert (place == "") == (row["place"] is None)
    if row["answer"] == "AR":
        assert [line for line in walked.door.deposits() if line.id == answered.reference] == []
        return
    page = walked.door.decided(answered.reference)
    assert page.deposit.state == row["verdict"]
    assert (row["code"] in page.deposit.codes) or row["code"] is None


def test_the_list_of_what_was_rejected_holds_each_with_ids_and_codes_only(walked: Walked) -> None:
    wanted = [row for row in EXPECTED if row["answer"] == "AE"]
    for row in wanted:
        walked.door.decided(getattr(walked.answers[row["file"]], "reference", ""))
    rejected = {line.id: line for line in walked.door.deposits("--state", "rejected")}
    assert len(rejected) == len(wanted) > 20
    for row in wanted:
        answered = walked.answers[row["file"]]
        assert answered is not None
        line = rejected[answered.reference]
        assert row["code"] in line.codes
        assert line.message_id == answered.control_id
    printed = walked.door.verb("deposits", "list", "--state", "rejected")
    assert {key for line in printed for key in line} == {
        *("id", "received_at", "door", "source", "establishment", "message_id", "document_ids", "act"),
        *("state", "verdict", "codes", "patient"),
    }
    shown = json.dumps(printed).encode() + b"".join(
        json.dumps(walked.door.verb("deposits", "show", i)).encode() for i in rejected
    )
    for text in (*PERSONAL, *(base64.b64encode(text)[:-4] for text in PERSONAL)):
        assert text not in shown


def test_nothing_of_a_person_is_in_the_log(walked: Walked) -> None:
    log = walked.door.log.read_bytes()
    assert b"message.rejected" in log
    for text in (*PERSONAL, ADELE.ins.encode(), b"internal.error", b"Traceback"):
        assert text not in log


def test_after_all_of_it_a_good_message_is_stored(walked: Walked) -> None:
    patient = someone(walked.door)
    assert walked.door.send(oru(biology(patient))).facts == ("AA", "stored", ())


# -- how lines end, and what stands before the first


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"], ids=["CR", "LF", "CRLF"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "last line open"])
def test_segments_may_end_in_any_usual_way(door: Door, end: bytes, last: bool) -> None:
    message = oru(biology(someone(door))).replace(b"\r", end)
    assert door.send(message if last else message.removesuffix(end)).facts == ("AA", "stored", ())


def test_a_byte_order_mark_is_passed_over(door: Door) -> None:
    assert door.send(b"\xef\xbb\xbf" + oru(biology(someone(door)))).facts == ("AA", "stored", ())


def test_a_document_in_8859_15_is_read_as_such(door: Door) -> None:
    patient = someone(door)
    title = "Cœur : 5 € - Žižkov"
    message = oru(replace(biology(patient), title=title))
    head, encoded, tail = cut_document(message)
    text = base64.b64decode(encoded).decode("utf-8").replace('encoding="UTF-8"', 'encoding="ISO-8859-15"', 1)
    assert 'encoding="ISO-8859-15"' in text
    raw = text.encode("iso-8859-15", "xmlcharrefreplace")
    assert "Cœur : 5 €".encode("iso-8859-15") in raw
    assert door.send(head + base64.b64encode(raw) + tail).facts == ("AA", "stored", ())
    (document,) = door.record(patient.ins).documents
    assert document.title == title


def test_a_message_in_8859_15_is_kept_byte_for_byte_and_answered_in_its_charset(door: Door) -> None:
    patient = someone(door)
    note = "Le cœur, 5 €, élève"
    message = oru(biology(patient), charset="8859/15", note=note).decode("utf-8").encode("iso-8859-15")
    ended = door.send(message)
    assert ended.facts == ("AA", "stored", ())
    ((encoding, stored),) = door.rows(
        "SELECT encoding, bytes FROM source_part WHERE receipt = ? AND part = 0", ended.page.deposit.id
    )
    assert note.encode("iso-8859-15") in unpack(encoding, stored)
    # The same bytes under another name are another text, or none.
    wrong = oru(biology(patient), note=note).decode("utf-8").encode("iso-8859-15")
    answered = door.ask(wrong)
    assert (answered.code, errors_of(answered)) == ("AE", [("CHARSET_INVALID", "NTE^1^3", "E")])


def cut_document(message: bytes) -> tuple[bytes, bytes, bytes]:
    head, mark, rest = message.partition(b"^Base64^")
    encoded, pipe, tail = rest.partition(b"|")
    return head + mark, encoded, pipe + tail


# -- frames


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A gateway with small caps and little patience."""
    caps = {
        "DMP_GATEWAY_MLLP_FRAME_LIMIT_BYTES": "200000",
        "DMP_GATEWAY_MLLP_IDLE_TIMEOUT_SECONDS": "1.5",
        "DMP_GATEWAY_QUEUE_SEALED_LIMIT_BYTES": "40000",
    }
    with Door(tmp_path_factory.mktemp("narrow"), environment=caps) as door:
        yield door


def still_stores(door: Door) -> None:
    """Show that another connection is not harmed."""
    assert door.send(oru(biology(someone(door)))).facts == ("AA", "stored", ())


def test_a_truncated_frame_is_answered_and_the_connection_closed(narrow: Door) -> None:
    message = oru(biology(someone()))
    with narrow.connect() as sender:
        sender.write(START + message[:4000])
        sender.write_end()
        answered = sender.answer()
        assert answered is not None
        assert (answered.code, errors_of(answered)) == ("AR", [("MESSAGE_TRUNCATED", "", "E")])
        assert answered.control_id == message.split(b"|")[9].decode()
        assert sender.is_closed()
    still_stores(narrow)


def test_a_frame_that_begins_inside_another_is_no_message(narrow: Door) -> None:
    patient = someone(narrow)
    with narrow.connect() as sender:
        sender.write(START + oru(biology(patient))[:3000] + START + oru(biology(patient)) + END)
        answered = sender.answer()
        assert answered is not None
        assert (answered.code, errors_of(answered)[0][0]) == ("AR", "MESSAGE_TRUNCATED")
        assert sender.answer() is None, "a lost boundary is never found again"
    assert narrow.record(patient.ins).documents == ()
    still_stores(narrow)


def test_a_frame_that_never_ends_is_given_up_without_an_answer(narrow: Door) -> None:
    message = oru(biology(someone()))
    with narrow.connect() as sender:
        sender.write(START + message)
        still_stores(narrow)
        assert sender.is_closed(), "a sender that is still at it takes no answer"
    with narrow.connect() as sender:
        answered = sender.ask(message)
        assert answered is not None
        assert answered.code == "AA", "sent again whole it is taken"


def test_bytes_outside_a_frame_end_the_connection(narrow: Door) -> None:
    with narrow.connect() as sender:
        sender.write(b"GET / HTTP/1.1\r\n\r\n")
        answered = sender.answer()
        assert answered is not None
        assert (answered.code, answered.control_id) == ("AE", "")
        assert sender.is_closed()
    still_stores(narrow)


def over_the_frame_cap(sender: Sender, message: bytes) -> Answered | None:
    sender.write(START + message + b"NTE|1||" + b"x" * 300_000 + b"\r" + END)
    return sender.answer()


def over_the_sealed_cap(sender: Sender, message: bytes) -> Answered | None:
    noise = random.Random(1).randbytes(60_000).hex().encode()
    sender.write(START + message + b"NTE|1||" + noise + b"\r" + END)
    return sender.answer()


@pytest.mark.parametrize("send", [over_the_frame_cap, over_the_sealed_cap])
def test_what_is_too_large_is_answered_before_it_is_ours(narrow: Door, send: Callable[[Sender, bytes], Answered | None]) -> None:
    patient = someone(narrow)
    message = oru(biology(patient))
    with narrow.connect() as sender:
        answered = send(sender, message)
    assert answered is not None
    assert answered.code == "AE"
    assert [(error.code, error.condition) for error in answered.errors] == [("TOO_LARGE", "207")]
    line = narrow.noted(message.split(b"|")[9].decode())
    assert (line.state, line.codes) == ("rejected", ("TOO_LARGE",))
    assert narrow.record(patient.ins).documents == ()
    still_stores(narrow)


def test_a_bad_message_does_not_end_a_connection_whose_frames_are_right(narrow: Door) -> None:
    patient = someone(narrow)
    with narrow.connect() as sender:
        for file in ("bad/02-ins-key.er7", "bad/11-entity-bomb.er7", "bad/20-no-msh.er7", "bad/21-batch-count.er7"):
            assert sender.ask(sample(file)).code == "AE"
        assert sender.ask(sample("bad/22-source-not-admitted.er7")).code == "AR"
        answered = sender.ask(oru(radiology(patient)))
    assert answered.code == "AA"
    assert narrow.decided(answered.reference).deposit.state == "stored"


def test_a_source_that_the_connection_does_not_admit_is_only_counted(narrow: Door) -> None:
    before = len(narrow.deposits())
    answered = narrow.ask(sample("bad/22-source-not-admitted.er7"))
    assert (answered.code, errors_of(answered)) == ("AR", [("SOURCE_UNKNOWN", "MSH^1^3", "E")])
    assert len(narrow.deposits()) == before
    assert narrow.rows("SELECT count(*) FROM receipt WHERE id = ?", answered.reference) == [(0,)]
    assert answered.reference.encode() in narrow.log.read_bytes()
