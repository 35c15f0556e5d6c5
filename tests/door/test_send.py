"""`send` against a receiver of the test's own: every answer, late, never, cut, and what travelled."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.send import send

pytestmark = pytest.mark.door

CUT = object()
HEADER = "MSH|^~\\&|SIL|CHU|DMP|CHU|20260303||ORU^R01^ORU_R01|{}|P|2.5|||{}|{}|FRA|UNICODE UTF-8\rPID|1||284\r"
ERR = "ERR||PID^1^3|207^x^y|E|INS_KEY^x^y^904||d|m\r"


def message(control_id: str, accept: str = "", application: str = "") -> bytes:
    return HEADER.format(control_id, accept, application).encode()


def answer(code: str, control_id: str, *more: str) -> bytes:
    text = f"MSH|^~\\&|DMP||SIL||20260303||ACK|9|P|2.5|||||FRA|UNICODE UTF-8\rMSA|{code}|{control_id}\r" + "".join(more)
    return b"\x0b" + text.encode() + b"\x1c\r"


#: What the receiver does with the n-th message (from 0): bytes to send, seconds to wait, `CUT`.
Script = Callable[[int, str], list[object]]


class Receiver:
    """An MLLP receiver in a thread, which answers what its script says."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.received: list[bytes] = []
        self.connections = 0
        self.ended_by_peer = 0
        self.loop = asyncio.new_event_loop()
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),))
        self.thread.start()
        assert self.started.wait(5)

    async def serve(self) -> None:
        self.stopping = asyncio.Event()
        server = await asyncio.start_server(self.speak, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.started.set()
        await self.stopping.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await task

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        held = b""
        try:
            while True:
                chunk = await reader.read(65_536)
                held += chunk
                if not chunk:
                    self.ended_by_peer += 1
                    if held:
                        await self.act(held, writer)
                    return
                while b"\x1c\r" in held:
                    frame, held = held.split(b"\x1c\r", 1)
                    await self.act(frame + b"\x1c\r", writer)
        except (ConnectionError, StopAsyncIteration):
            pass
        finally:
            writer.close()

    async def act(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        self.received.append(frame)
        cells = frame.split(b"\r", 1)[0].split(b"|")
        control_id = cells[9].decode() if len(cells) > 9 else ""
        for step in self.script(len(self.received) - 1, control_id):
            if step is CUT:
                raise StopAsyncIteration
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, float):
                await asyncio.sleep(step)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.loop.close()


@pytest.fixture
def receive() -> Iterator[Callable[[Script], Receiver]]:
    running: list[Receiver] = []

    def start(script: Script) -> Receiver:
        running.append(Receiver(script))
        return running[-1]

    yield start
    for receiver in running:
        receiver.stop()


def always(code: str, *more: str) -> Script:
    return lambda _, control_id: [answer(code, control_id, *more)]


def run(port: int, *arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(send, ["--to", f"127.0.0.1:{port}", *arguments], input=stdin)


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def three(tmp_path: Path) -> str:
    file = tmp_path / "three.hl7"
    file.write_bytes(b"".join(message(str(number)) for number in (1, 2, 3)).replace(b"\r", b"\n"))
    return str(file)


def test_an_example_is_accepted(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(always("AA"))
    result = run(receiver.port, "--example", "oru")
    assert result.exit_code == 0
    assert result.stdout.startswith("AA accepted  message SILV-0001 (example oru)")
    assert result.stderr == "example oru: one message, LF line ends turned into CR\n"
    (frame,) = receiver.received
    assert frame.startswith(b"\x0bMSH|") and frame.endswith(b"\r\x1c\r") and b"\n" not in frame


def test_messages_come_from_standard_input(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(always("AA"))
    result = run(receiver.port, "-", "--json", stdin=message("é1") + message("2"))
    assert result.exit_code == 0
    assert [(line["file"], line["index"], line["control_id"]) for line in lines(result)] == [
        ("standard input", 1, "é1"),
        ("standard input", 2, "2"),
    ]
    assert receiver.received == [b"\x0b" + message("é1") + b"\x1c\r", b"\x0b" + message("2") + b"\x1c\r"]
    assert receiver.connections == 1


def test_a_refusal_shows_its_place_and_stops(receive: Callable[[Script], Receiver], three: str) -> None:
    receiver = receive(lambda n, i: [answer("AE", i, ERR) if n == 1 else answer("AA", i)])
    result = run(receiver.port, three)
    assert result.exit_code == 1
    assert "AE refused  message 2" in result.stdout
    assert "      PID|1||284\n             ^^^\n" in result.stdout
    assert "sent 2 of 3: AA 1, AE 1, AR 0, no answer 0" in result.stderr
    assert "--keep-going sends the others too" in result.stderr
    assert len(receiver.received) == 2


def test_keep_going_sends_the_others_too(receive: Callable[[Script], Receiver], three: str) -> None:
    receiver = receive(lambda n, i: [answer("AR" if n == 0 else "AA", i)])
    result = run(receiver.port, three, "--keep-going", "--json")
    assert result.exit_code == 1
    assert [line["answer"] for line in lines(result)] == ["AR", "AA", "AA"]


def test_an_answer_that_never_comes_ends_the_wait(receive: Callable[[Script], Receiver], three: str) -> None:
    receiver = receive(lambda n, i: [] if n == 0 else [answer("AA", i)])
    result = run(receiver.port, three, "--wait", "1", "--keep-going", "--json")
    assert result.exit_code == 1
    assert [(line["answer"], line["silence"]) for line in lines(result)] == [(None, "timeout"), ("AA", None), ("AA", None)]
    assert 990 <= float(str(lines(result)[0]["duration_ms"])) < 5000
    assert receiver.connections == 2, "a late answer could have been taken for that of the next message"


def test_a_late_answer_is_still_an_answer(receive: Callable[[Script], Receiver], three: str) -> None:
    receiver = receive(lambda _, i: [0.2, answer("AA", i)])
    result = run(receiver.port, three, "--wait", "20", "--json")
    assert result.exit_code == 0
    assert all(float(str(line["duration_ms"])) >= 190 for line in lines(result))


def test_a_connection_cut_before_the_answer_is_opened_again(receive: Callable[[Script], Receiver], three: str) -> None:
    receiver = receive(lambda n, i: [answer("AA", i)[:20], CUT] if n == 1 else [answer("AA", i)])
    result = run(receiver.port, three, "--keep-going", "--json")
    assert [line["silence"] for line in lines(result)] == [None, "cut", None]
    assert receiver.connections == 2
    assert "sent 3: AA 2, AE 0, AR 0, no answer 1" in result.stderr


def test_an_answer_in_pieces_is_put_together(receive: Callable[[Script], Receiver]) -> None:
    def script(_: int, control_id: str) -> list[object]:
        whole = answer("AA", control_id)
        return [b"\r\n", whole[:1], 0.02, whole[1:40], 0.02, whole[40:-1], 0.02, whole[-1:]]

    assert run(receive(script).port, "--example", "mdm").exit_code == 0


def test_nobody_there_names_the_next_step(three: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = run(taken.getsockname()[1], three, "--json")
    assert result.exit_code == 1
    assert [line["silence"] for line in lines(result)] == ["not_connected"]
    assert "Start it with: dmp-gateway serve" in result.stderr


def test_answers_out_of_order_find_their_message(receive: Callable[[Script], Receiver], three: str) -> None:
    def script(n: int, _: str) -> list[object]:
        return [answer("AA", "3"), answer("AE", "1", ERR), answer("AA", "2")] if n == 2 else []

    receiver = receive(script)
    result = run(receiver.port, three, "--no-wait", "--keep-going", "--json")
    assert [(line["control_id"], line["answer"]) for line in lines(result)] == [("1", "AE"), ("2", "AA"), ("3", "AA")]
    assert receiver.connections == 1


def test_many_without_waiting_are_all_answered_in_order(receive: Callable[[Script], Receiver], three: str) -> None:
    receiver = receive(always("AA"))
    result = run(receiver.port, three, "--no-wait", "--repeat", "100", "--fresh-ids", "--json")
    assert result.exit_code == 0
    sent = lines(result)
    assert [line["repetition"] for line in sent] == [number for number in range(1, 101) for _ in range(3)]
    assert len({line["control_id"] for line in sent}) == 300 == len(receiver.received)
    assert {str(line["control_id"]).split("-")[0] for line in sent} == {"1", "2", "3"}


def test_many_accepted_are_only_counted(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(lambda n, i: [answer("AE" if n == 7 else "AA", i)])
    result = run(receiver.port, "--example", "adt", "--repeat", "30", "--keep-going")
    assert result.stdout.count("message GAMV") == 1
    assert result.stdout.startswith("AE refused")
    assert "sent 30: AA 29, AE 1, AR 0, no answer 0" in result.stderr


def test_the_same_refusal_is_not_shown_for_ever(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(always("AR"))
    result = run(receiver.port, "--example", "adt", "--repeat", "103", "--keep-going")
    assert result.stdout.count("AR not taken") == 100
    assert "3 more that were not accepted are only counted" in result.stderr


def test_the_rate_is_kept(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(always("AA"))
    result = run(receiver.port, "--example", "adt", "--repeat", "11", "--rate", "20")
    rate = float(result.stderr.split(" per second")[0].rsplit(" ", 1)[1])
    assert result.exit_code == 0
    assert rate <= 22.1, "ten pauses of 50 ms make half a second"


def test_a_truncated_frame_travels_as_it_is(receive: Callable[[Script], Receiver], tmp_path: Path) -> None:
    file = tmp_path / "cut.mllp"
    file.write_bytes(b"\x0b" + message("1") + b"\x1c\r\x0b" + message("2")[:-4])
    receiver = receive(lambda n, i: [answer("AE" if n else "AA", i)])
    result = run(receiver.port, str(file), "--json", "--wait", "10")
    assert b"".join(receiver.received) == file.read_bytes()
    assert [line["answer"] for line in lines(result)] == ["AA", "AE"]
    assert receiver.ended_by_peer == 1
    assert "sent byte for byte; the last one has no end" in result.stderr


def test_an_answer_without_msa_2_belongs_to_the_oldest_message(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(lambda *_: [answer("AE", "")])
    result = run(receiver.port, "-", "--json", stdin=b"PID|1\r")
    assert [(line["control_id"], line["answer"]) for line in lines(result)] == [("", "AE")]


def test_an_answer_to_another_message_is_none(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(lambda *_: [answer("AA", "other")])
    result = run(receiver.port, "--example", "adt", "--wait", "0.3", "--json")
    assert [line["silence"] for line in lines(result)] == ["timeout"]
    assert "1 more came back whose MSA-2 names no message that was waiting" in result.stderr


def test_in_enhanced_mode_the_second_answer_counts(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(lambda _, i: [answer("CA", i), 0.05, answer("AE", i, ERR)])
    asked = run(receiver.port, "-", "--json", stdin=message("1", "AL", "AL"))
    assert [line["answer"] for line in lines(asked)] == ["AE"]
    accept_only = receive(lambda _, i: [answer("CA", i)])
    result = run(accept_only.port, "-", "--json", stdin=message("1", "AL", "NE"))
    assert [line["answer"] for line in lines(result)] == ["CA"]
    assert result.exit_code == 0


def test_what_is_no_acknowledgment_is_said_to_be_none(receive: Callable[[Script], Receiver]) -> None:
    receiver = receive(lambda *_: [b"\x0bhello\x1c\r"])
    result = run(receiver.port, "--example", "adt")
    assert result.exit_code == 1
    assert "what came back is no acknowledgment" in result.stdout
