"""The HL7v2 door over real sockets on the loopback interface."""

import asyncio
import io
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import hl7.client
import pytest

from gateway.adapters.mllp import connection
from gateway.adapters.mllp.server import MllpDoor
from gateway.adapters.mllp.spec import Spec
from gateway.mappers.hl7v2.ack import Answered, read_ack
from gateway.model.source import Connection
from gateway.telemetry import lines, metrics, points
from tests.unit.mllp.doubles import SAMPLES, SETTINGS, CountedReceipts, KeptDeposits, KeptEvents, RunningClock, numbered, sample

pytestmark = pytest.mark.door

MESSAGE = sample("oru/01")
TRUNCATED = (SAMPLES / "bad" / "16-truncated.mllp").read_bytes()


class Opened:
    """An open door with its doubles."""

    def __init__(self, **changes: object) -> None:
        self.deposits, self.events = KeptDeposits(), KeptEvents()
        settings: dict[str, object] = {
            "environment": "test",
            "directory": SETTINGS.directory,
            "connections": SETTINGS.connections,
            "idle_timeout_seconds": 5.0,
            "ack_wait_seconds": 5.0,
        }
        self.door = MllpDoor(
            Spec(**(settings | changes)),
            deposits=self.deposits,
            events=self.events,
            receipts=CountedReceipts(),
            clock=RunningClock(),
        )


class Peer:
    """A sender, byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answered:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\x1c\r"), 10)
        assert raw.startswith(b"\x0b")
        return read_ack(raw[1:-2])

    async def ask(self, data: bytes) -> Answered:
        await self.send(data)
        return await self.answer()

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)

    async def closed(self) -> bool:
        try:
            return await self.rest() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def opened(**changes: object) -> AsyncIterator[Opened]:
    found = Opened(**changes)
    await found.door.open()
    try:
        yield found
    finally:
        await found.door.stop(2)


@asynccontextmanager
async def peer(found: Opened) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", found.door.port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is awaited is of the other side, it sets no event
            await asyncio.sleep(0.01)


def framed(payload: bytes) -> bytes:
    return b"\x0b" + payload + b"\x1c\r"


@pytest.fixture(autouse=True)
def log() -> Iterator[Callable[[str], list[dict[str, object]]]]:
    stream = io.StringIO()
    lines.direct("debug", "json", stream, None)
    yield lambda name: [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == name]
    lines.direct("info", "json", None, None)


def run(scenario: Callable[[], object]) -> None:
    asyncio.run(scenario())


def test_a_message_is_answered_on_a_free_port() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            assert found.door.port
            answer = await sender.ask(framed(MESSAGE))
            assert (answer.code, answer.control_id) == ("AA", "SILV-0001")
            assert found.deposits.ids == ["SILV-0001"]
            assert found.door.probe().ready
            assert found.door.probe().connections == 1

    run(scenario)


def test_glued_and_split() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            both = framed(numbered(MESSAGE, "G1")) + b"\r\n" + framed(numbered(MESSAGE, "G2"))
            await sender.send(both[:1000])
            await asyncio.sleep(0.05)
            await sender.send(both[1000:])
            assert [(await sender.answer()).control_id for _ in range(2)] == ["G1", "G2"]
            assert found.deposits.ids == ["G1", "G2"]

    run(scenario)


def test_trickled_byte_by_byte() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            message = sample("adt/02")
            for byte in framed(message):
                await sender.send(bytes([byte]))
                await asyncio.sleep(0)
            assert (await sender.answer()).code == "AA"
            assert len(found.events.submitted) == 1

    run(scenario)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_line_ends(end: bytes) -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            assert (await sender.ask(framed(MESSAGE.replace(b"\r", end) + end))).code == "AA"

    run(scenario)


@pytest.mark.parametrize(
    ("codec", "declared", "text"),
    [
        ("utf-8", "UNICODE UTF-8", "Cœur 5 €"),
        ("utf-8-sig", "UNICODE UTF-8", "Cœur 5 €"),
        ("iso-8859-15", "8859/15", "Cœur 5 €"),
        ("iso-8859-1", "8859/1", "Été ¤"),
        ("ascii", "ASCII", "Coeur"),
    ],
)
def test_charsets_arrive_as_written(codec: str, declared: str, text: str) -> None:
    """The facility of MSH-6 is echoed in MSH-4 of the answer: what was decoded is seen there, in the same charset."""

    async def scenario() -> None:
        message = sample("adt/02").decode()
        head, _, rest = message.partition("\r")
        fields = head.split("|")
        fields[5], fields[17] = text, declared
        body = "|".join(fields) + "\r" + (rest if codec.startswith("utf") else rest.encode("ascii", "ignore").decode())
        async with opened() as found, peer(found) as sender:
            await sender.send(framed(body.encode(codec)))
            raw = (await asyncio.wait_for(sender.reader.readuntil(b"\x1c\r"), 10))[1:-2]
            assert read_ack(raw).code == "AA"
            assert f"|{text}|".encode(codec.removesuffix("-sig")) in raw

    run(scenario)


def test_pipelined_messages_are_answered_in_order_one_at_a_time() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            found.deposits.gate.clear()
            await sender.send(b"".join(framed(numbered(MESSAGE, f"P{n}")) for n in range(3)))
            await found.deposits.entered.wait()
            await asyncio.sleep(0.1)
            assert found.door.probe().working == 1
            found.deposits.gate.set()
            assert [(await sender.answer()).control_id for _ in range(3)] == ["P0", "P1", "P2"]
            assert found.deposits.most_at_once == 1

    run(scenario)


def test_while_a_message_is_worked_on_no_more_is_read() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            found.deposits.gate.clear()
            await sender.send(framed(numbered(MESSAGE, "FIRST")))
            await found.deposits.entered.wait()
            flood = asyncio.create_task(sender.send(framed(numbered(MESSAGE, "NEXT") + b"NTE|1||" + b"x" * 30_000_000 + b"\r")))
            await asyncio.sleep(0.5)
            assert not flood.done()
            (link,) = found.door._connections
            assert link._frames.held == 0
            found.deposits.gate.set()
            await flood
            assert [(await sender.answer()).control_id for _ in range(2)] == ["FIRST", "NEXT"]

    run(scenario)


def test_connections_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as slow, peer(found) as quick:
            found.deposits.gate.clear()
            await slow.send(framed(MESSAGE))
            await found.deposits.entered.wait()
            assert (await quick.ask(framed(sample("adt/02")))).code == "AA"
            found.deposits.gate.set()
            assert (await slow.answer()).code == "AA"

    run(scenario)


def test_a_foreign_client() -> None:
    async def scenario() -> None:
        async with opened() as found:

            def foreign() -> list[bytes]:
                with hl7.client.MLLPClient("127.0.0.1", found.door.port) as client:
                    return [client.send_message(numbered(sample("adt/02"), name)) for name in ("H1", "H2")]

            answers = [read_ack(raw[1:-2]) for raw in await asyncio.to_thread(foreign)]
            assert [(answer.code, answer.control_id) for answer in answers] == [("AA", "H1"), ("AA", "H2")]

    run(scenario)


@pytest.mark.parametrize("loose", [False, True])
def test_a_foreign_command(loose: bool, tmp_path: Path) -> None:
    """`mllp_send`: framed, and loose (line ends of a text file, a line end left before the end block)."""
    file = tmp_path / "message"
    file.write_bytes(sample("adt/02").replace(b"\r", b"\n") if loose else framed(sample("adt/02")))
    command = [str(Path(sys.executable).parent / "mllp_send"), "-f", str(file), "--quiet" if loose else "--port"]

    async def scenario() -> None:
        async with opened() as found:
            words = [*command[:3], "-p", str(found.door.port), *(["--loose"] if loose else []), "127.0.0.1"]
            done = await asyncio.to_thread(subprocess.run, words, capture_output=True, timeout=30, check=False)
            assert b"MSA|AA|GAMV-0002" in done.stdout, done.stderr
            assert len(found.events.submitted) == 1

    run(scenario)


@pytest.mark.parametrize(("more", "code"), [(-1, "AA"), (0, "AA"), (1, "AE")])
def test_the_size_cap(more: int, code: str, log) -> None:
    async def scenario() -> None:
        async with opened(frame_limit_bytes=200_000) as found, peer(found) as sender:
            filler = 200_000 + more - len(MESSAGE) - len(b"NTE|1||\r")
            answer = await sender.ask(framed(MESSAGE + b"NTE|1||" + b"x" * filler + b"\r"))
            assert (answer.code, answer.control_id) == (code, "SILV-0001")
            if code == "AE":
                assert answer.errors[0].code == "TOO_LARGE"
                assert await sender.closed()
                ((reception, _),) = found.deposits.reported
                assert reception.source == "sil-valmont"
            else:
                assert found.deposits.ids == ["SILV-0001"]

    run(scenario)


def test_the_answer_to_a_message_far_too_large_arrives_though_the_sender_writes_on(log) -> None:
    async def scenario() -> None:
        async with opened(frame_limit_bytes=200_000) as found, peer(found) as sender:
            await sender.send(b"\x0b" + MESSAGE + b"NTE|1||" + b"x" * 20_000_000 + b"\r\x1c\r")
            answer = await sender.answer()
            assert (answer.code, answer.errors[0].code) == ("AE", "TOO_LARGE")
            assert await sender.closed()
            sender.writer.close()
            await until(lambda: found.door.probe().connections == 0)
        assert [line["reason"] for line in log("connection.closed")] == ["fault"]

    run(scenario)


def test_a_frame_that_never_ends_is_counted_and_closed(log) -> None:
    async def scenario() -> None:
        series = 'dmpgw_problems_total{code="MESSAGE_TRUNCATED",source="sil-valmont"}'
        before = metrics.snapshot().get(series, 0)
        async with opened(idle_timeout_seconds=0.3) as found, peer(found) as sender:
            await sender.send(b"\x0b" + MESSAGE[:1000])
            assert await sender.closed()
            assert found.deposits.reported == []
        assert metrics.snapshot()[series] == before + 1
        assert [line["reason"] for line in log("connection.closed")] == ["idle"]

    run(scenario)


def test_a_sender_that_breaks_off_is_answered_if_it_still_listens() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await sender.send(TRUNCATED)
            sender.writer.write_eof()
            answer = await sender.answer()
            assert (answer.code, answer.errors[0].code) == ("AR", "MESSAGE_TRUNCATED")
            assert await sender.closed()
            assert found.deposits.reported == []

    run(scenario)


def test_unfinished_messages_have_a_limit_together_and_short_ones_find_room(log) -> None:
    """Connections that stop in the middle of large messages cost a bounded memory, and no opposition."""
    limit, many = 4 * 1024 * 1024, 8

    async def scenario() -> None:
        event = sample("adt/02")
        async with opened(held_limit_bytes=limit) as found, AsyncExitStack() as senders:
            budget = found.door._budget
            answers = []
            for _ in range(many):
                sender = await senders.enter_async_context(peer(found))
                await sender.send(b"\x0b" + MESSAGE + b"NTE|1||" + b"x" * (1024 * 1024))
                answers.append(asyncio.ensure_future(sender.answer()))
            await until(lambda: sum(answer.done() for answer in answers) == many - 3)
            assert budget.held <= limit
            assert {(done.result().code, done.result().errors[0].code) for done in answers if done.done()} == {
                ("AR", "OVERLOADED")
            }
            async with peer(found) as other:
                assert (await other.ask(framed(event))).code == "AA"
                assert (await other.ask(framed(MESSAGE))).code == "AA"
            assert found.deposits.reported == []
            for answer in answers:
                answer.cancel()
            for link in tuple(found.door._connections):
                link.cut()
            await until(lambda: found.door.probe().connections == 0)
            assert budget.held == 0

    run(scenario)


def test_what_was_held_is_free_once_it_is_answered() -> None:
    async def scenario() -> None:
        async with opened(held_limit_bytes=2 * 1024 * 1024) as found, peer(found) as sender:
            large = MESSAGE + b"NTE|1||" + b"x" * 1_500_000 + b"\r"
            for number in range(4):
                assert (await sender.ask(framed(numbered(large, f"N{number}")))).code == "AA"
                await until(lambda: found.door._budget.held == 0)

    run(scenario)


def test_a_sender_that_resets_in_mid_frame_is_told_of(log) -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await sender.send(b"\x0b" + MESSAGE[:1000])
            await until(lambda: any(link._frames.held for link in found.door._connections))
            sender.writer.transport.abort()
            await until(lambda: found.door.probe().connections == 0)
            assert found.deposits.reported == []
        assert [line["codes"] for line in log("message.deferred")] == [["MESSAGE_TRUNCATED"]]

    run(scenario)


def test_the_idle_are_closed_and_the_busy_are_not(log) -> None:
    async def scenario() -> None:
        async with opened(idle_timeout_seconds=0.3) as found, peer(found) as idle, peer(found) as busy:
            found.deposits.gate.clear()
            await busy.send(framed(MESSAGE))
            assert await idle.closed()
            await asyncio.sleep(0.5)
            found.deposits.gate.set()
            assert (await busy.answer()).code == "AA"
            assert found.deposits.reported == []

    run(scenario)


def test_an_end_block_without_its_cr_is_answered_when_nothing_follows() -> None:
    async def scenario() -> None:
        async with opened(idle_timeout_seconds=0.3) as found, peer(found) as sender:
            assert (await sender.ask(b"\x0b" + MESSAGE + b"\x1c")).code == "AA"
            assert await sender.closed()

    run(scenario)


def test_over_the_limit_a_connection_is_refused_and_a_place_comes_free(log) -> None:
    async def scenario() -> None:
        async with opened(connection_limit=2) as found, peer(found) as one, peer(found) as two:
            assert (await one.ask(framed(sample("adt/02")))).code == (await two.ask(framed(sample("adt/02")))).code == "AA"
            assert not found.door.probe().ready
            async with peer(found) as three:
                assert await three.closed()
            one.writer.close()
            await until(lambda: found.door.probe().connections == 1)
            async with peer(found) as four:
                assert (await four.ask(framed(sample("adt/02")))).code == "AA"
        assert [line["reason"] for line in log("connection.refused")] == ["limit"]

    run(scenario)


def test_a_network_or_port_that_is_not_admitted_is_closed_unread(log) -> None:
    async def scenario() -> None:
        sources = SETTINGS.connections[0].sources
        elsewhere = Connection(door="mllp", networks=("127.0.0.2/32",), sources=sources)
        other_port = Connection(door="mllp", networks=("127.0.0.1/32",), sources=sources, port=1)
        async with opened(connections=(elsewhere, other_port)) as found, peer(found) as sender:
            assert await sender.closed()
        assert [(line["reason"], line["peer"]) for line in log("connection.refused")] == [("not_admitted", "127.0.0.1")]

    run(scenario)


def test_msh_3_chooses_among_the_sources_of_the_connection_only() -> None:
    async def scenario() -> None:
        only = Connection(door="mllp", networks=("127.0.0.0/8",), sources=("gam-valmont",))
        async with opened(connections=(only,)) as found, peer(found) as sender:
            answer = await sender.ask(framed(MESSAGE))
            assert (answer.code, answer.errors[0].code) == ("AR", "SOURCE_UNKNOWN")
            assert (await sender.ask(framed(sample("adt/02")))).code == "AA"
            assert found.deposits.reported == []

    run(scenario)


def test_a_stop_answers_what_is_worked_on_and_leaves_what_is_not_whole(log) -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as working, peer(found) as half, peer(found) as idle:
            found.deposits.gate.clear()
            await working.send(framed(numbered(MESSAGE, "S1")) + framed(numbered(MESSAGE, "S2")))
            await half.send(b"\x0b" + MESSAGE[:1000])
            await found.deposits.entered.wait()
            stopping = asyncio.create_task(found.door.stop(10))
            assert await idle.closed()
            assert await half.closed()
            assert not found.door.probe().ready
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await asyncio.open_connection("127.0.0.1", found.door.port)
            assert not stopping.done()
            found.deposits.gate.set()
            assert [(await working.answer()).control_id for _ in range(2)] == ["S1", "S2"]
            assert await working.closed()
            await stopping
            await asyncio.wait_for(found.door.serve(), 1)
            assert found.deposits.reported == []
        assert [line["count"] for line in log("door.closed")] == [0]

    run(scenario)


def test_a_stop_cuts_what_is_not_done_by_the_deadline(log) -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            found.deposits.gate.clear()
            await sender.send(framed(MESSAGE))
            await found.deposits.entered.wait()
            await asyncio.wait_for(found.door.stop(0.2), 5)
            assert await sender.closed()
            assert found.deposits.published == []
        assert [line["count"] for line in log("door.closed")] == [1]

    run(scenario)


@pytest.mark.parametrize(
    ("junk", "said", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "AE", "MSH_ABSENT"),
        (MESSAGE, "AE", "MSH_ABSENT"),
        (b"\x0b" + MESSAGE[:300] + b"\x1cx", "AR", "MESSAGE_TRUNCATED"),
        (b"\x0b" + MESSAGE + b"\x1c\n", "AR", "MESSAGE_TRUNCATED"),
        (b"\x0b" + MESSAGE[:300], "AR", "MESSAGE_TRUNCATED"),
    ],
)
def test_a_lost_boundary_is_answered_and_closed(junk: bytes, said: str, code: str) -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            answer = await sender.ask(framed(MESSAGE) + junk + framed(MESSAGE))
            assert answer.code == "AA"
            answer = await sender.answer()
            assert (answer.code, answer.errors[0].code) == (said, code)
            assert await sender.rest() == b""
            assert found.deposits.ids == ["SILV-0001"]

    run(scenario)


def test_a_flood_of_junk_is_answered_once_and_held_nowhere(monkeypatch) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.3)

    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            try:
                for _ in range(2000):
                    await sender.send(b"\xff" * 65_536)
            except ConnectionError:
                pass
            await until(lambda: found.door.probe().connections == 0)
            assert len(found.deposits.reported) == 1
            async with peer(found) as other:
                assert (await other.ask(framed(MESSAGE))).code == "AA"

    run(scenario)


def test_a_flood_of_empty_frames_is_answered_frame_by_frame() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await sender.send(framed(b"") * 500 + framed(MESSAGE))
            codes = [(await sender.answer()).code for _ in range(501)]
            assert codes == ["AE"] * 500 + ["AA"]
            assert found.deposits.ids == ["SILV-0001"]

    run(scenario)


def test_a_sender_that_reads_no_answer_is_cut(log) -> None:
    async def scenario() -> None:
        async with opened(idle_timeout_seconds=0.5) as found:
            found.door._server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            with socket.socket() as link:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                link.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(link, ("127.0.0.1", found.door.port))
                flood = asyncio.create_task(loop.sock_sendall(link, framed(b"") * 60_000))
                await until(lambda: found.door.probe().connections == 1)
                await until(lambda: found.door.probe().connections == 0, 60)
                flood.cancel()
            assert log("connection.closed")[0]["reason"] == "unread"

    run(scenario)


def test_a_flood_of_one_sender_leaves_the_others_their_turn() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as many, peer(found) as one:
            await many.send(framed(b"") * 2000)
            await until(lambda: found.door.probe().working == 1)
            assert (await one.ask(framed(MESSAGE))).code == "AA"
            assert found.door.probe().working == 1

    run(scenario)


def test_an_error_outside_the_session_gives_no_answer_and_costs_one_connection(log) -> None:
    async def scenario() -> None:
        def fail() -> None:
            points.hooks.clear()
            raise RuntimeError("ESSAI-UN")

        async with opened() as found:
            points.hooks["door.answered"] = fail
            async with peer(found) as sender:
                await sender.send(framed(MESSAGE))
                assert await sender.closed()
            async with peer(found) as sender:
                assert (await sender.ask(framed(MESSAGE))).code == "AA"
        assert [line["reason"] for line in log("internal.error")] == ["connection"]

    run(scenario)


def test_the_port_is_taken() -> None:
    async def scenario() -> None:
        async with opened() as found:
            with pytest.raises(OSError, match="address already in use"):
                await Opened(port=found.door.port).door.open()

    run(scenario)
