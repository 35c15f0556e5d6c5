"""Clients that we did not write, and the house's commands as processes, against a real gateway."""

import subprocess
import sys
from pathlib import Path

import hl7
import pytest
from hl7.client import MLLPClient

from gateway.demo.process import run_verb
from tests.harness import node
from tests.harness.day import biology, control_id, oru, says, someone, stamp
from tests.harness.door import END, START, Door
from tests.unit.mllp.doubles import asking

pytestmark = pytest.mark.door

MLLP_SEND = Path(sys.executable).parent / "mllp_send"


def answered(raw: bytes) -> tuple[str, str, str]:
    """Return MSA-1, MSA-2 and MSA-3 as python-hl7 reads them."""
    assert raw.startswith(START) and raw.endswith(END)
    message = hl7.parse(raw[1:-2].decode("utf-8"))
    msa = message.segment("MSA")
    return str(msa(1)), str(msa(2)), str(msa(3))


def test_python_hl7_sends_bytes_text_and_its_own_messages(door: Door) -> None:
    patient = someone(door)
    names = [control_id() for _ in range(3)]
    as_bytes, as_text, as_message = (oru(biology(patient), message_id=name) for name in names)
    with MLLPClient("127.0.0.1", door.process.port) as client:
        raw = [
            client.send_message(as_bytes),
            client.send_message(as_text.decode("utf-8")),
            client.send_message(hl7.parse(as_message.decode("utf-8"))),
        ]
    found = [answered(one) for one in raw]
    assert [one[:2] for one in found] == [("AA", name) for name in names]
    assert [door.decided(receipt).deposit.state for _, _, receipt in found] == ["stored"] * 3


def test_python_hl7_reads_why_a_message_was_not_taken(door: Door) -> None:
    wrong = oru(biology(someone(door))).replace(b"|VALI", b"|PROV")
    with MLLPClient("127.0.0.1", door.process.port) as client:
        raw = client.send_message(wrong)
    err = hl7.parse(raw[1:-2].decode("utf-8")).segment("ERR")
    assert answered(raw)[0] == "AE"
    assert (str(err(2)), str(err(4)), str(err(5)).split("^")[0]) == ("PID^1^32", "E", "INS_UNQUALIFIED")


def send(door: Door, file: Path, *options: str) -> str:
    done = subprocess.run(
        [str(MLLP_SEND), "-f", str(file), "-p", str(door.process.port), *options, "127.0.0.1"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout.decode("utf-8")


def test_mllp_send_sends_a_file_of_frames(door: Door, tmp_path: Path) -> None:
    patient = someone(door)
    names = [control_id() for _ in range(3)]
    file = tmp_path / "messages.mllp"
    file.write_bytes(b"".join(START + oru(biology(patient), message_id=name) + END for name in names))
    printed = send(door, file)
    assert all(f"MSA|AA|{name}" in printed for name in names)
    door.drained()
    assert len(door.record(patient.ins).documents) == 3


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_mllp_send_sends_a_text_file(door: Door, tmp_path: Path, end: bytes) -> None:
    patient = someone(door)
    name = control_id()
    file = tmp_path / "message.hl7"
    file.write_bytes(oru(biology(patient), message_id=name).replace(b"\r", end))
    assert f"MSA|AA|{name}" in send(door, file, "--loose")
    door.drained()
    assert [document.state for document in door.record(patient.ins).documents] == ["current"]


def test_the_commands_as_processes_walk_an_opposition(door: Door, tmp_path: Path) -> None:
    patient = someone()
    data = ("--data", str(door.data))
    assert run_verb("record", "open", "--ins", patient.ins, "--collected-by", "desk", *data)[0] == 0
    file = tmp_path / "day.hl7"
    io, report = says(patient, "IO", stamp(days=-1)), oru(biology(patient))
    file.write_bytes((io + report).replace(b"\r", b"\n"))
    status, answers = run_verb("send", str(file), "--to", f"127.0.0.1:{door.process.port}")
    assert (status, [answer["answer"] for answer in answers]) == (0, ["AA", "AA"])
    door.drained()
    status, (line,) = run_verb("deposits", "list", "--state", "refused", "--patient", patient.ins, *data)
    assert (status, line["codes"]) == (0, ["OPPOSED"])
    status, (page,) = run_verb("deposits", "show", line["id"], *data)
    assert (status, page["outcome"]["rule"], page["trace"][0]["verdict"]) == (0, "O-2", "refused")
    status, (record,) = run_verb("record", "show", "--ins", patient.ins, *data)
    assert (status, record["documents"]) == (0, [])
    assert [statement["in_force"] for statement in record["statements"]] == [True]


# -- clients from npm (tests/clients)


def written(folder: Path, *messages: bytes) -> list[str]:
    """Write messages as files, as an engineer keeps them; return their names."""
    files = [folder / f"message-{number}.er7" for number in range(len(messages))]
    for file, message in zip(files, messages, strict=True):
        file.write_bytes(message.replace(b"\r", b"\n"))
    return [str(file) for file in files]


def test_simple_hl7_sends_one_after_another(door: Door, tmp_path: Path) -> None:
    patient = someone(door)
    names = [control_id() for _ in range(3)]
    files = written(tmp_path, *(oru(biology(patient), message_id=name) for name in names))
    answers = node.run("simple-hl7.mjs", str(door.process.port), *files)
    assert [(each["code"], each["id"]) for each in answers] == [("AA", name) for name in names]
    assert [door.decided(each["receipt"]).deposit.state for each in answers] == ["stored"] * 3


def test_medplum_pipelines_two_messages_over_one_connection(door: Door, tmp_path: Path) -> None:
    patient = someone(door)
    names = [control_id() for _ in range(2)]
    files = written(tmp_path, *(oru(biology(patient), message_id=name) for name in names))
    answers = node.run("medplum.mjs", str(door.process.port), "first", *files)
    assert [(each["code"], each["id"]) for each in answers] == [("AA", name) for name in names]
    door.drained()
    assert [document.state for document in door.record(patient.ins).documents] == ["current"] * 2


def test_medplum_waits_for_the_application_acknowledgment(door: Door, tmp_path: Path) -> None:
    """Enhanced mode: the accept acknowledgment is passed over, the application's tells that the record refused."""
    patient, nobody = someone(door), someone()
    names = [control_id() for _ in range(2)]
    stored, refused = (
        asking(oru(biology(each), message_id=name), "AL", "AL") for each, name in zip((patient, nobody), names, strict=True)
    )
    (found,) = node.run("medplum.mjs", str(door.process.port), "application", *written(tmp_path, stored))
    assert (found["code"], found["id"]) == ("AA", names[0])
    assert door.decided(found["receipt"]).deposit.state == "stored"
    (found,) = node.run("medplum.mjs", str(door.process.port), "application", *written(tmp_path, refused))
    assert (found["code"], found["id"]) == ("AE", names[1])
    assert door.decided(found["receipt"]).deposit.codes == ("RECORD_ABSENT",)


@pytest.mark.parametrize("form", ["messages", "batch", "file"])
def test_node_hl7_client_sends_messages_batches_and_files(door: Door, tmp_path: Path, form: str) -> None:
    patient = someone(door)
    names = [control_id() for _ in range(2)]
    files = written(tmp_path, *(oru(biology(patient), message_id=name) for name in names))
    answers = node.run("node-hl7-client.mjs", str(door.process.port), form, *files)
    assert answers == [{"code": "AA", "id": name} for name in names]
    door.drained()
    assert [document.state for document in door.record(patient.ins).documents] == ["current"] * 2
