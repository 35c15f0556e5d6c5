"""`listen` against senders: our own, python-hl7's, node-hl7-client; TLS; what a test of a sender asks it for."""

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from click.testing import CliRunner, Result
from hl7.client import MLLPClient

from gateway.adapters.tls import Asked, Reloading, TlsFiles
from gateway.cli.listen_folder import Folder
from gateway.cli.listen_manner import Act, decide
from gateway.cli.listen_server import MOST_CONNECTIONS
from gateway.cli.schemas import schema
from gateway.cli.send import send
from gateway.mappers.hl7v2.ack import read_ack
from gateway.mappers.hl7v2.header import read_head
from tests.harness import node
from tests.harness.breach import Breach
from tests.harness.door import Sender
from tests.harness.pki import Authority, Pki
from tests.harness.receiver import Ear

pytestmark = pytest.mark.door

TEXT = "MSH|^~\\&|SIL|CHU|DMP|GW|20260303||ORU^R01^ORU_R01|{}|P|2.5|||||FRA|UNICODE UTF-8\rPID|1||284^^^CHU^PI||ESSAI^ADÈLE\r"
ZAM = (
    "MSH|^~\\&|PFI-X|EJ-1|SIL-V|CHU|20260313160000+0100||ZAM^Z01^ZAM_Z01|PFI-17|P|2.6|||||FRA|UNICODE UTF-8|||"
    "2.1^CISIS_CDA_HL7_V2\rEVN||20260313160000+0100\r"
    "OBX|1|CWE|ACK_RECEPTION_DMP^Accusé^AckMetierZAM|SILV-0006|N^^expandedYes-NoIndicator||||||F\r"
    "ERR|||207^Application error^messageErrorCondition|E|DMPClosed^DMP fermé^DMPERRORCODE\r"
).encode()


def message(control_id: str = "M-1") -> bytes:
    return TEXT.format(control_id).encode()


def framed(payload: bytes) -> bytes:
    return b"\x0b" + payload + b"\x1c\r"


def files(folder: Path, *names: str) -> list[str]:
    paths = [folder / f"{name}.er7" for name in names]
    for path in paths:
        path.write_bytes(message(path.stem).replace(b"\r", b"\n"))
    return [str(path) for path in paths]


def sent(port: int, *arguments: str) -> tuple[Result, list[dict[str, Any]]]:
    result = CliRunner().invoke(send, ["--to", f"127.0.0.1:{port}", "--json", *arguments])
    return result, [json.loads(line) for line in result.stdout.splitlines()]


def exchange(sender: Sender, payload: bytes) -> tuple[str, str]:
    """Send a message; return MSA-1 and MSA-2."""
    sender.write(framed(payload))
    frame = sender.frame()
    assert frame is not None
    found = read_ack(frame)
    return found.code, found.control_id


# -- clients


def test_our_own_send_is_answered_and_each_third_message_refused(tmp_path: Path) -> None:
    with Ear(answer=Act.AE, every=3, code="OPPOSED", text="à revoir") as ear:
        result, lines = sent(ear.port, "--keep-going", *files(tmp_path, *(f"N-{number}" for number in range(1, 8))))
    assert [line["answer"] for line in lines] == ["AA", "AA", "AE", "AA", "AA", "AE", "AA"]
    assert [line["errors"][0]["code"] for line in lines if line["errors"]] == ["OPPOSED", "OPPOSED"]
    assert result.exit_code == 1
    assert [(line.control_id, line.type, line.answer) for line in ear.heard][2] == ("N-3", "ORU^R01", "AE")
    assert [line.number for line in ear.heard] == list(range(1, 8))


def test_every_third_message_counts_over_all_connections() -> None:
    with Ear(answer=Act.AR, every=3) as ear:
        codes = []
        for number in range(6):
            with Sender(ear.port) as sender:
                codes.append(exchange(sender, message(f"C-{number}")))
    assert codes == [("AA", "C-0"), ("AA", "C-1"), ("AR", "C-2"), ("AA", "C-3"), ("AA", "C-4"), ("AR", "C-5")]
    assert [line.connection for line in ear.heard] == [1, 2, 3, 4, 5, 6]


def test_python_hl7_is_answered() -> None:
    with Ear() as ear, MLLPClient("127.0.0.1", ear.port) as client:
        answers = [client.send_message(message(name)) for name in ("P-1", "P-2")]
    assert [read_ack(answer[1:-2]).control_id for answer in answers] == ["P-1", "P-2"]
    assert [line.peer.rpartition(":")[0] for line in ear.heard] == ["127.0.0.1"] * 2


@pytest.mark.parametrize("form", ["messages", "batch", "file"])
def test_node_hl7_client_is_answered(tmp_path: Path, form: str) -> None:
    node.need_node()
    with Ear() as ear:
        answers = node.run("node-hl7-client.mjs", str(ear.port), form, *files(tmp_path, "J-1", "J-2"), timeout=30)
    assert answers == [{"code": "AA", "id": name} for name in ("J-1", "J-2")]
    assert [line.control_id for line in ear.heard] == ["J-1", "J-2"]


def test_a_batch_whose_count_is_wrong_is_refused_whole() -> None:
    batch = b"BHS|^~\\&|SIL|CHU|||20260303||||LOT-1\r" + message("B-1") + b"BTS|2\r"
    with Ear() as ear, Sender(ear.port) as sender:
        sender.write(framed(batch))
        found = read_ack(sender.frame() or b"")
    assert (found.code, found.errors[0].code) == ("AE", "BATCH_COUNT")
    assert [line.codes for line in ear.heard] == [("BATCH_COUNT",)]


def test_messages_written_ahead_are_answered_in_their_order() -> None:
    names = [f"W-{number}" for number in range(20)]
    with Ear(delay=0.002) as ear, Sender(ear.port) as sender:
        sender.write(b"".join(framed(message(name)) for name in names))
        answers = [read_ack(sender.frame() or b"").control_id for _ in names]
    assert answers == names


# -- what a test of a sender asks for


def test_dropped_messages_are_those_that_the_seed_says(tmp_path: Path) -> None:
    with Ear(drop=0.5, seed=3) as ear:
        _, lines = sent(ear.port, "--keep-going", *files(tmp_path, *(f"D-{number}" for number in range(1, 21))))
        manner = ear.receiver._terms.manner
    dropped = [decide(manner, number).act is Act.DROP for number in range(1, 21)]
    assert 0 < sum(dropped) < 20
    assert [line["silence"] == "cut" for line in lines] == dropped
    assert [line["answer"] == "AA" for line in lines] == [not each for each in dropped]
    assert [line.deed == "dropped" for line in ear.heard] == dropped


def test_never_leaves_the_sender_waiting_on_an_open_connection(tmp_path: Path) -> None:
    with Ear(answer=Act.NEVER, terms={"count": 1}) as ear:
        _, lines = sent(ear.port, "--wait", "1", *files(tmp_path, "S-1"))
        # The sender gave up and closed: the one message that was asked for is over.
        ear.ended()
    assert [line["silence"] for line in lines] == ["timeout"]
    assert [(line.deed, line.answer) for line in ear.heard] == [("left", None)]


def test_an_answer_waits_as_long_as_asked(tmp_path: Path) -> None:
    with Ear(delay=0.2) as ear:
        _, (line,) = sent(ear.port, *files(tmp_path, "L-1"))
    assert line["answer"] == "AA"
    if line["duration_ms"] < 200:
        raise Breach(f"answered after {line['duration_ms']} ms, asked for 200")


def test_a_wrong_id_is_taken_for_no_message_of_the_sender(tmp_path: Path) -> None:
    with Ear(wrong_id=True, every=2) as ear:
        result, lines = sent(ear.port, "--no-wait", "--keep-going", "--wait", "1.5", *files(tmp_path, "I-1", "I-2"))
    assert [line["answer"] for line in lines] == ["AA", None]
    assert "names no message that was waiting" in result.stderr


def test_an_answer_byte_by_byte_in_another_charset_is_read_whole() -> None:
    with Ear(answer=Act.AE, text="à 5 €", charset="8859/15", trickle=0.0005) as ear, Sender(ear.port) as sender:
        sender.write(framed(message()))
        frame = sender.frame() or b""
    assert "à 5 €".encode("iso8859-15") in frame
    assert read_head(frame)[0].charset == "8859/15"
    assert read_ack(frame).errors[0].message == "à 5 €"


def test_one_shot_closes_after_each_answer() -> None:
    with Ear(one_shot=True) as ear:
        for name in ("O-1", "O-2"):
            with Sender(ear.port) as sender:
                assert exchange(sender, message(name)) == ("AA", name)
                assert sender.frame() is None


def test_messages_are_kept_as_they_came(tmp_path: Path) -> None:
    names = ["../K-1", "K 2"]
    with Ear(folder=Folder(tmp_path / "kept")) as ear, Sender(ear.port) as sender:
        for name in names:
            exchange(sender, message(name))
    assert [line.file for line in ear.heard] == ["000001-.._K-1.hl7", "000002-K_2.hl7"]
    kept = [tmp_path / "kept" / str(line.file) for line in ear.heard]
    assert [file.read_bytes() for file in kept] == [message(name) for name in names]
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}


def test_a_message_that_cannot_be_kept_ends_the_run_unanswered(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with Ear(folder=Folder(kept)) as ear, Sender(ear.port) as sender:
        kept.rmdir()
        sender.write(framed(message()))
        assert sender.frame() is None
        ear.ended()
        error, ear.error = ear.error, None
    assert isinstance(error, FileNotFoundError)
    assert ear.heard == []


def test_a_run_ends_after_as_many_messages_and_answers_each_of_them() -> None:
    with Ear(terms={"count": 3}, delay=0.01) as ear, Sender(ear.port) as sender:
        sender.write(b"".join(framed(message(f"E-{number}")) for number in range(5)))
        frames = list(iter(sender.frame, None))
        ear.ended()
    assert [read_ack(frame).control_id for frame in frames] == ["E-0", "E-1", "E-2"]
    assert [line.control_id for line in ear.heard] == ["E-0", "E-1", "E-2"]


def test_a_message_is_let_go_before_its_answer_waits() -> None:
    """Ten senders of 4 MiB whose answers wait: ten messages held would be 40 MiB."""
    large = framed(message() + b"OBX|1|ED|||" + b"A" * 4_194_304 + b"\r")
    tracemalloc.start()
    try:
        with Ear(delay=60) as ear, ExitStack() as crowd:
            for number in range(10):
                crowd.enter_context(Sender(ear.port)).write(large)
                ear.heard_so_many(number + 1)
            held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if held > 24 * 1024 * 1024:
        raise Breach(f"{held / 1_048_576:.0f} MiB are held while answers wait")


# -- hostile bytes


@pytest.mark.parametrize(
    ("written", "code", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "MSH_ABSENT", "AE"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "MSH_ABSENT", "AE"),
        (b"\x0b" + message() + b"\x1cX", "MESSAGE_TRUNCATED", "AR"),
        (b"\x0b" + message() + b"\x0b" + message(), "MESSAGE_TRUNCATED", "AR"),
        (b"\x0b" + b"A" * 5000, "TOO_LARGE", "AE"),
    ],
)
def test_bytes_that_are_no_frame_are_answered_and_end_their_connection_only(written: bytes, code: str, answer: str) -> None:
    with Ear(terms={"frame_bytes": 4096}) as ear, Sender(ear.port) as sender, Sender(ear.port) as other:
        assert exchange(other, message("H-1")) == ("AA", "H-1")
        sender.write(written)
        found = read_ack(sender.frame() or b"")
        assert (found.code, found.errors[0].code) == (answer, code)
        sender.write_end()
        assert sender.frame() is None
        assert exchange(other, message("H-2")) == ("AA", "H-2")
    assert len(ear.faults) == 1 and code in ear.faults[0]
    assert [line.control_id for line in ear.heard] == ["H-1", "H-2"]
    assert ear.receiver.tally.faults == 1


@pytest.mark.parametrize(
    "payload", [b"", b"\x00" * 2000, b"MSH", b"MSH|", b"MSH|^~\\&" + b"|" * 3000, b"FHS|^~\\&\r", b"\xff" * 100, b"\r\n" * 99]
)
def test_a_frame_of_anything_is_answered_and_the_connection_goes_on(payload: bytes) -> None:
    with Ear(terms={"verbose": True}) as ear, Sender(ear.port) as sender:
        sender.write(framed(payload))
        found = read_ack(sender.frame() or b"")
        assert found.code in {"AE", "AR"}
        assert exchange(sender, message("G-1")) == ("AA", "G-1")
    assert len(ear.heard) == 2 and ear.heard[0].codes


def test_a_sender_that_goes_in_the_middle_of_anything_harms_nobody() -> None:
    with Ear(delay=0.05) as ear:
        for written in (b"", b"\x0b" + message(), framed(message()), framed(message()) * 3):
            with Sender(ear.port) as sender:
                sender._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                sender.write(written)
        with Sender(ear.port) as sender:
            assert exchange(sender, message("Q-1")) == ("AA", "Q-1")


def test_one_connection_too_many_is_closed_and_the_others_go_on() -> None:
    with Ear() as ear:
        crowd = [Sender(ear.port) for _ in range(MOST_CONNECTIONS)]
        assert exchange(crowd[-1], message("T-1")) == ("AA", "T-1")
        with Sender(ear.port) as late:
            assert late.frame() is None
        assert exchange(crowd[0], message("T-2")) == ("AA", "T-2")
        for sender in crowd:
            sender.__exit__()
    assert ear.receiver.tally.turned_away == 1


# -- TLS


@contextmanager
def secured(folder: Path, pki: Pki, *, ca: bool) -> Iterator[Ear]:
    paths = pki.write(folder)
    named = TlsFiles(
        certificate=str(paths["certificate"]), key=str(paths["key"]), authorities=str(paths["authorities"]) if ca else ""
    )
    (folder / "ca.pem").write_bytes(pki.servers.pem)
    with Ear(tls=Reloading("mllp", named, Asked.REQUIRED if ca else Asked.OPTIONAL)) as ear:
        yield ear


def test_over_tls_our_own_send_is_answered(tmp_path: Path, pki: Pki) -> None:
    with secured(tmp_path, pki, ca=False) as ear:
        result, lines = sent(ear.port, "--tls", "--ca", str(tmp_path / "ca.pem"), *files(tmp_path, "T-1", "T-2"))
    assert [line["answer"] for line in lines] == ["AA", "AA"], result.stderr
    assert [line.control_id for line in ear.heard] == ["T-1", "T-2"]


def test_over_mutual_tls_a_certificate_of_the_authority_is_asked_for(tmp_path: Path, pki: Pki) -> None:
    node.need_node()
    good = pki.client.write(tmp_path / "good", "client")
    bad = Authority("Other").issue("dns:sil.chu.example").write(tmp_path / "bad", "client")
    (document,) = files(tmp_path, "T-1")
    with secured(tmp_path, pki, ca=True) as ear:
        ca = ("--tls", "--ca", str(tmp_path / "ca.pem"))
        _, (none,) = sent(ear.port, *ca, document)
        _, (other,) = sent(ear.port, *ca, "--cert", str(bad[0]), "--key", str(bad[1]), document)
        assert ear.heard == []
        _, (taken,) = sent(ear.port, *ca, "--cert", str(good[0]), "--key", str(good[1]), document)
        arguments = (str(ear.port), "messages", document, "--", str(tmp_path / "ca.pem"), *map(str, good))
        assert node.run("node-hl7-client.mjs", *arguments, timeout=30) == [{"code": "AA", "id": "T-1"}]
    assert (none["silence"], other["silence"], taken["answer"]) == ("not_trusted", "not_trusted", "AA")


def test_plain_text_on_the_port_of_tls_is_closed_and_harms_nobody(tmp_path: Path, pki: Pki) -> None:
    with secured(tmp_path, pki, ca=False) as ear:
        with Sender(ear.port) as sender:
            sender.write(framed(message()))
            sender.write_end()
            with pytest.raises(AssertionError):  # an alert of TLS at most: no frame of MLLP
                assert sender.frame() is not None
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with (
            socket.create_connection(("127.0.0.1", ear.port), 20) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as line,
        ):
            line.sendall(framed(message("T-9")))
            assert b"MSA|AA|T-9" in line.recv(65_536)
    assert [line.control_id for line in ear.heard] == ["T-9"]


# -- the command as a process


class Command:
    """`dmp-gateway listen` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "listen", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline().decode()

    def end(self, number: int | None = signal.SIGTERM) -> tuple[int, str, str]:
        """Ask it to end; return its status and what it wrote."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode(), err.decode()


def test_the_command_prints_json_that_fits_its_schema_and_ends_by_itself(tmp_path: Path) -> None:
    command = Command("--json", "--count", "3", "--keep", str(tmp_path / "kept"), "--answer", "AE", "--every", "2", "--verbose")
    start = json.loads(command.first)
    with Sender(start["port"]) as sender:
        assert [exchange(sender, each) for each in (message(), ZAM, b"x")] == [("AA", "M-1"), ("AE", "PFI-17"), ("AE", "")]
        status, out, err = command.end(None)
    lines = [json.loads(line) for line in out.splitlines()]
    for name, objects in (("listen-start", [start]), ("listen", lines)):
        validator = jsonschema_rs.validator_for(msgspec.json.decode(schema(name)))
        assert [list(validator.iter_errors(each)) for each in objects] == [[] for _ in objects]
    assert start == {"listening": f"127.0.0.1:{start['port']}", "host": "127.0.0.1", "port": start["port"], "tls": False}
    assert (status, [line["answer"] for line in lines]) == (0, ["AA", "AE", "AE"])
    assert lines[1]["business_ack"]["message_id"] == "SILV-0006"
    assert lines[0]["segments"][1] == "PID|1||284^^^CHU^PI||ESSAI^ADÈLE"
    assert "received 3: AA 1, AE 2, AR 0, left without an answer 0, dropped 0; one connection" in err
    assert len(list((tmp_path / "kept").iterdir())) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_shows_headers_only_and_ends_when_asked(number: int) -> None:
    command = Command("--delay", "0s")
    assert command.first.startswith("listening on 127.0.0.1:") and "(plain text, loopback)" in command.first
    port = int(command.first.split()[2].rpartition(":")[2])
    with Sender(port) as sender:
        assert exchange(sender, message()) == ("AA", "M-1")
        assert exchange(sender, ZAM) == ("AA", "PFI-17")
        status, out, err = command.end(number)
        assert sender.frame() is None
    assert status == 0
    assert f"ORU^R01  M-1  {len(message())} bytes  from 127.0.0.1:" in out
    assert "business acknowledgment of message SILV-0006: reception by the DMP, no" in out
    assert "DMPClosed DMP fermé (DMPERRORCODE)" in out and "the patient's record is closed" in out
    assert "ESSAI" not in out + err and "284^" not in out + err
    assert "received 2: AA 2" in err
    assert [line.split()[0] for line in err.splitlines()] == ["try:", "received"]


def test_quiet_shows_no_message() -> None:
    command = Command("--quiet", "--count", "1")
    with Sender(int(command.first.split()[2].rpartition(":")[2])) as sender:
        exchange(sender, message())
        status, out, err = command.end(None)
    assert (status, out) == (0, "")
    assert "received 1: AA 1" in err


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = Command("--port", str(taken.getsockname()[1]))
        status, out, err = command.end(None)
    assert (command.first, status, out) == ("", 1, "")
    assert "Nothing can listen at 127.0.0.1:" in err and "Is the port taken" in err and "Traceback" not in err


def test_whoever_reads_its_output_may_go() -> None:
    command = Command("--json")
    assert command.process.stdout is not None
    command.process.stdout.close()
    with Sender(json.loads(command.first)["port"]) as sender:
        sender.write(framed(message()))
        assert sender.frame() is None
    assert command.process.wait(30) == 1
    assert command.process.stderr is not None
    assert b"Traceback" not in command.process.stderr.read()
    command.process.stderr.close()
