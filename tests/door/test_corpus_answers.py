"""Messages that nobody in this project wrote, each through a real gateway: what is answered, what is kept, why."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from gateway.mappers.hl7v2.ack import Answered, read_ack
from gateway.mappers.hl7v2.header import salvage
from gateway.model.problems import CODES
from gateway.store.views import DepositPage
from tests.harness.config import Admitted, Facility, write
from tests.harness.door import END, START, Door, errors_of

pytestmark = [pytest.mark.corpus, pytest.mark.door]

INS: Final = "279035121518989"
#: Another patient of the official messages: the one of the document that a deletion carries by mistake.
OTHER_INS: Final = "277076322082910"

#: All FINESS numbers and authorities of the official messages are one establishment's.
OFFICIAL: Final = Facility(
    id="official",
    finess_ej="300017985",
    finess_eg=("120456789", "120459876"),
    authorities={"ipp": ("CHU-X", "000897406")},
)
#: Owns no authority: a local identifier from abroad is nobody's here.
ABROAD: Final = Facility(id="abroad", finess_ej="990000091")

RADIO: Final = "1.2.250.1.71.4.2.2.120456789.7102400008"
BIOLOGY: Final = "1.2.250.1.213.1.1."


@dataclass(frozen=True)
class Row:
    """
    What becomes of a file.

    Attributes:
        file: Below `hl7v2/`.
        answer: MSA-1.
        errors: Codes of ERR-4 `E`, in the order of the message.
        verdict: In the store.
        codes: Of warnings kept with the outcome.
        reason: Why.
    """

    file: str
    answer: str
    errors: tuple[str, ...]
    verdict: str
    codes: tuple[str, ...]
    reason: str


UNUSUAL: Final = ("CDA_UNUSUAL", "FLAGS_UNUSUAL")
NO_INS: Final = ("INS_ABSENT", "PLAIN_RESULTS")
FOREIGN: Final = ("IDENTIFIER_FOREIGN",)

#: In the order in which they are sent: the opposition is the last of the official ones.
ROWS: Final = (
    Row("message_MDM_CR_Radio_INIT_N1_Base64.er7", "AA", (), "stored", UNUSUAL, "new document; no setId, no zone"),
    Row("message_MDM_CR_Radio_RPLC_N1.er7", "AA", (), "stored", (*UNUSUAL, "MESSAGE_ID_REUSED"), "MSH-10 015 used again"),
    Row("message_MDM_CR_Radio_DEL_N1.er7", "AA", (), "deleted", (*UNUSUAL, "MESSAGE_ID_REUSED"), "its bytes differ from 082's"),
    Row("message_MDM_CR_Radio_INIT_N1.er7", "AE", ("XML_INVALID",), "rejected", ("FLAGS_UNUSUAL",), "a sentence, no CDA"),
    Row("message_ORU_CR_Bio_INIT_N3_SEGUR.hl7", "AA", (), "stored", (), "new document; the mail body's base64 is of no concern"),
    Row("message_ORU_CR_Bio_RPLC_N3_SEGUR.hl7", "AA", (), "stored", ("MESSAGE_ID_REUSED", "PARENT_UNKNOWN"),
        "names 12 as parent, which never came; replaces 9 by its set"),
    Row("message_ORU_CR_Bio_DEL_N3_SEGUR.hl7", "AE", ("PID_CDA_DIFFER",), "rejected", (), "carries another patient's document"),
    Row("MDM_Remplacement_ack.er7", "AE", ("MESSAGE_TYPE_UNSUPPORTED",), "rejected", (), "an answer, not a message"),
    Row("ConsentementConsultation_NonOppositionAlimentation.er7", "AA", (), "applied", (), "INO and IC, 06/03/2024"),
    Row("NonConsentementConsultation_OppositionAlimentation.er7", "AA", (), "applied", (), "IO and INC, 09/03/2024"),
    Row("foreign/LAB-ORU-1.hl7", "AE", NO_INS, "rejected", (), "byte-order mark, empty MSH-4; no INS"),
    Row("foreign/ORU-R01-01.hl7", "AE", NO_INS, "rejected", (), "no INS"),
    Row("foreign/ORU-R01-RMGEAD.hl7", "AE", NO_INS, "rejected", (), "no INS"),
    Row("foreign/LRI_2.0-NG_CBC_Typ_Message.hl7", "AE", NO_INS, "rejected", (), "no INS"),
    Row("foreign/ADT-A01-01.hl7", "AE", ("EVENT_UNUSABLE",), "rejected", FOREIGN, "only identifiers of others"),
    Row("foreign/ADT-A08-02.hl7", "AE", ("EVENT_UNUSABLE",), "rejected", FOREIGN, "only identifiers of others"),
    Row("foreign/ADT-A40-01.hl7", "AE", ("EVENT_UNUSABLE",), "rejected", FOREIGN, "a merge, but of identifiers of others"),
    Row("foreign/MDM-T02-01.hl7", "AE",
        ("INS_ABSENT", "VALUE_UNKNOWN", "SENDER_MISSING", "DOCUMENT_EMPTY", *["FLAG_MISSING"] * 8),
        "rejected", ("PLAIN_RESULTS",), "no INS, and nothing of the volet"),
    Row("foreign/VXU-V04-01.hl7", "AE", ("MESSAGE_TYPE_UNSUPPORTED",), "rejected", (), "vaccinations"),
    Row("foreign/ADT01-23.hl7", "AE", ("EVENT_UNUSABLE",), "rejected", FOREIGN, "only identifiers of others"),
    Row("foreign/oru_r01_ex1.hl7", "AE", NO_INS, "rejected", (), "no INS"),
    Row("foreign/adt_a08_ex1.hl7", "AE", ("EVENT_UNUSABLE",), "rejected", FOREIGN, "only identifiers of others"),
    Row("foreign/ORU-multiline-short-mixed.hl7", "AE", NO_INS, "rejected", (), "no INS"),
    Row("foreign/sample_win.hl7", "AE", ("EVENT_UNUSABLE",), "rejected", FOREIGN, "only identifiers of others"),
    Row("foreign/msg-02.hl7", "AE", ("CHARSET_UNKNOWN",), "rejected", (), "MSH-18 names `code1`"),
    Row("foreign/iti8-a40-iso-8859-1.hl7", "AE", ("EVENT_UNUSABLE",), "rejected", ("CHARSET_ASSUMED", *FOREIGN),
        "read as 8859/15; only identifiers of others"),
    Row("foreign/iti8-a01-incomplete.hl7", "AE", ("SEGMENT_MISSING",), "rejected", (), "no PID"),
    Row("foreign/pcd01-request.hl7", "AE", NO_INS, "rejected", (), "a device, empty MSH-4; no INS"),
    Row("foreign/small.hl7", "AE", NO_INS, "rejected", (), "no INS"),
    Row("foreign/batch03.hl7", "AE", ("EVENT_UNUSABLE",), "rejected", FOREIGN,
        "two messages in one frame: the first, a merge of identifiers of others"),
    Row("foreign/test-hl7-whitespace-input.txt", "AE", ("MESSAGE_TYPE_UNSUPPORTED",), "rejected", (), "ORM"),
    Row("foreign/FileSingleMessageLongTZ.hl7", "AE", ("MESSAGE_TYPE_UNSUPPORTED",), "rejected", (), "VXU, MSH-12 = 2.4^^"),
    Row("foreign/segmentfinder_a24.hl7", "AA", (), "ignored", ("EVENT_UNKNOWN",), "other delimiters; A24 is of no concern"),
)  # fmt: skip


@dataclass
class Walked:
    """The gateway that was sent every file of the table, and what came of each."""

    door: Door
    ended: dict[str, tuple[Answered, DepositPage]]


def configured(path: Path, folder: Path, files: list[str]) -> Path:
    """Write a configuration that admits the sender of every file."""
    senders: dict[tuple[str, str], str] = {}
    for file in files:
        for message in messages(folder / file):
            header = salvage(message)
            assert header is not None
            senders.setdefault((header.application, header.facility), "abroad" if file.startswith("foreign/") else "official")
    admitted = (
        Admitted(id=f"sender-{number}", establishment=establishment, application=application, facility=facility)
        for number, ((application, facility), establishment) in enumerate(senders.items())
    )
    return write(path, (OFFICIAL, ABROAD), admitted)


def messages(file: Path) -> list[bytes]:
    """Return the messages of a file, each from its MSH on."""
    first, *more = file.read_bytes().split(b"\nMSH|")
    return [first, *(b"MSH|" + each for each in more)]


def in_original_mode(payload: bytes) -> bytes:
    """The file without MSH-15 and MSH-16: some of the foreign ones ask for other acknowledgments, or for none."""
    lines = payload.split(b"\n")
    for number, line in enumerate(lines):
        if line.lstrip(b"\xef\xbb\xbf").startswith(b"MSH"):
            head, end, rest = line.partition(b"\r")
            fields = head.split(head.lstrip(b"\xef\xbb\xbf")[3:4])
            fields[14:16] = [b""] * len(fields[14:16])
            lines[number] = head.lstrip(b"\xef\xbb\xbf")[3:4].join(fields) + end + rest
    return b"\n".join(lines)


def asked(door: Door, payload: bytes) -> list[Answered]:
    """Send a file in one frame; return the answer to each of its messages."""
    with door.connect() as sender:
        answer = sender.ask_for_all(in_original_mode(payload))
    first, *more = answer.split(b"\rMSH|")
    return [read_ack(each) for each in (first, *(b"MSH|" + one for one in more))]


def test_several_messages_in_a_frame_are_answered_each(walked: Walked, folder: Path) -> None:
    payload = (folder / "foreign/batch03.hl7").read_bytes()
    merge, report = asked(walked.door, payload)
    assert (merge.code, merge.control_id) == ("AE", "1965403220110613122406637")
    assert (report.code, report.control_id) == ("AE", "59689")
    assert tuple(error.code for error in report.errors) == NO_INS


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("foreign/ORU-R01-01.hl7", ["CE"]),
        ("foreign/FileSingleMessageLongTZ.hl7", ["CE"]),
        ("foreign/pcd01-request.hl7", ["AE"]),
        ("foreign/segmentfinder_a24.hl7", ["CA", "AA"]),
        ("foreign/ADT-A40-01.hl7", []),
    ],
)
def test_foreign_messages_are_answered_as_they_ask(walked: Walked, folder: Path, file: str, said: list[str]) -> None:
    with walked.door.connect() as sender:
        sender.write(START + (folder / file).read_bytes() + END)
        sender.write_end()
        codes = []
        while (answer := sender.answer()) is not None:
            codes.append(answer.code)
    assert codes == said


def opened(door: Door) -> None:
    door.verb("record", "open", "--ins", INS, "--collected-by", "desk")
    door.verb("record", "open", "--ins", OTHER_INS, "--root", "nir", "--collected-by", "desk")


@pytest.fixture(scope="module")
def folder(corpus: Path) -> Path:
    return corpus / "hl7v2"


@pytest.fixture(scope="module")
def walked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    place = tmp_path_factory.mktemp("corpus")
    config = configured(place / "gateway.toml", folder, [row.file for row in ROWS])
    with Door(place, config=config) as door:
        opened(door)
        ended = {}
        for row in ROWS:
            first, *_ = asked(door, (folder / row.file).read_bytes())
            ended[row.file] = (first, door.decided(first.reference))
        yield Walked(door, ended)


def test_every_file_has_its_row(folder: Path) -> None:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {row.file for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_the_answer_and_what_became_of_it(walked: Walked, folder: Path, row: Row) -> None:
    answered, page = walked.ended[row.file]
    errors = tuple(code for code, _, severity in errors_of(answered) if severity == "E")
    assert (answered.code, errors, page.deposit.state) == (row.answer, row.errors, row.verdict)
    assert set(page.deposit.codes) == {*row.errors, *row.codes}
    header = salvage((folder / row.file).read_bytes())
    assert header is not None
    assert answered.control_id == page.deposit.message_id == header.control_id
    for error in answered.errors:
        known = CODES[error.code]
        assert error.condition == known.err3
        assert known.text.rstrip(".") in error.message


def test_the_official_documents_are_as_their_chains_leave_them(walked: Walked) -> None:
    documents = {document.unique_id: document for document in walked.door.record(INS).documents}
    assert {name: document.state for name, document in documents.items()} == {
        f"{RADIO}1": "replaced",
        f"{RADIO}2": "deleted",
        f"{BIOLOGY}9": "replaced",
        f"{BIOLOGY}13": "current",
    }
    assert {document.owner for document in documents.values()} == {"official"}
    # Stated in 2024, received after them: what is not deleted is withheld.
    assert {name for name, document in documents.items() if document.withheld} == documents.keys() - {f"{RADIO}2"}


def test_the_official_opposition_is_in_force(walked: Walked) -> None:
    page = walked.door.record(INS)
    feeding = [line for line in page.statements if line.statement.right.value == "feeding"]
    assert [(line.statement.position.value, line.in_force) for line in feeding] == [("allows", False), ("opposes", True)]
    assert ("official/ipp", "000003") in page.identifiers


def test_nothing_else_is_stored_and_nothing_of_a_person_is_logged(walked: Walked) -> None:
    assert walked.door.rows("SELECT count(*) FROM document") == [(4,)]
    assert walked.door.record(OTHER_INS, root="nir").documents == ()
    log = walked.door.log.read_bytes()
    for text in (b"PAT-TROIS", b"DOMINIQUE", INS.encode(), b"DUCK", b"EVERYMAN", b"internal.error", b"Traceback"):
        assert text not in log


def test_the_opposition_first_refuses_every_official_document(folder: Path, tmp_path: Path) -> None:
    files = [row.file for row in ROWS if row.answer == "AA" and row.verdict != "ignored"]
    io = "NonConsentementConsultation_OppositionAlimentation.er7"
    ino = "ConsentementConsultation_NonOppositionAlimentation.er7"
    with Door(tmp_path, config=configured(tmp_path / "gateway.toml", folder, files)) as door:
        opened(door)
        assert door.send((folder / io).read_bytes()).facts == ("AA", "applied", ())
        older = door.send((folder / ino).read_bytes())
        assert older.facts == ("AA", "applied", ("ALLOWANCE_WITHOUT_EFFECT",)), "it goes to history"
        for file in files:
            if file in {io, ino}:
                continue
            ended = door.send((folder / file).read_bytes())
            if "_DEL_" in file:
                assert (ended.answer.code, ended.verdict) == ("AA", "deleted")
                assert "TARGET_UNKNOWN" in ended.codes, "a deletion passes, and is kept for what it names"
            else:
                assert (ended.answer.code, ended.verdict) == ("AA", "refused")
                assert set(ended.codes) <= {"OPPOSED", "MESSAGE_ID_REUSED"}
        assert door.record(INS).documents == ()
        assert door.rows("SELECT count(*) FROM source_part") == [(0,)]
        for part in ("store.db", "store.db-wal", "gateway.log"):
            kept = ((tmp_path / "data" if part.startswith("store") else tmp_path) / part).read_bytes()
            for text in (b"Radio de hanche", b"examens biologiques"):
                assert text not in kept
        assert b"PAT-TROIS" not in (tmp_path / "gateway.log").read_bytes()
        # What the ADT says of the patient is the identity that the record holds, and stands nowhere else.
        tables = [name for (name,) in door.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        assert [name for name in tables if "PAT-TROIS" in str(door.rows(f"SELECT * FROM {name}"))] == ["reference"]


def test_the_official_chain_in_any_order_ends_the_same(folder: Path, tmp_path: Path) -> None:
    files = [f"message_MDM_CR_Radio_{step}.er7" for step in ("DEL_N1", "RPLC_N1", "INIT_N1_Base64")]
    with Door(tmp_path, config=configured(tmp_path / "gateway.toml", folder, files)) as door:
        opened(door)
        verdicts = [door.send((folder / file).read_bytes()).verdict for file in files]
        assert verdicts == ["deleted", "deleted", "replaced"]
        assert {document.unique_id: document.state for document in door.record(INS).documents} == {
            f"{RADIO}1": "replaced",
            f"{RADIO}2": "deleted",
        }


def test_two_messages_of_one_file_sent_each_in_its_frame(folder: Path, tmp_path: Path) -> None:
    file = "foreign/batch03.hl7"
    both = messages(folder / file)
    assert len(both) == 2
    with Door(tmp_path, config=configured(tmp_path / "gateway.toml", folder, [file])) as door:
        ended = [door.send(message) for message in both]
        assert [(one.answer.code, one.verdict) for one in ended] == [("AE", "rejected")] * 2
        assert [errors_of(one.answer)[0][0] for one in ended] == ["EVENT_UNUSABLE", "INS_ABSENT"]


def test_a_sender_that_is_not_admitted_is_told_to_send_again(folder: Path, tmp_path: Path) -> None:
    with Door(tmp_path) as door:
        for row in ROWS:
            for answered in asked(door, (folder / row.file).read_bytes()):
                assert (answered.code, errors_of(answered)[0][0]) == ("AR", "SOURCE_UNKNOWN"), row.file
        assert door.deposits() == []
