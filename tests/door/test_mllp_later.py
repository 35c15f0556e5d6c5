"""Enhanced mode over real sockets: what comes later holds nothing up, is waited for at the end, and is lost with its line."""

import asyncio
from itertools import pairwise

import pytest

from gateway.adapters.mllp import connection
from gateway.mappers.hl7v2.ack import Answered
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from gateway.telemetry import metrics
from tests.door.test_mllp_door import Opened, Peer, framed, opened, peer, until
from tests.unit.mllp.doubles import asking, numbered, sample

pytestmark = pytest.mark.door

MESSAGE, EVENT = asking(sample("oru/01"), "AL", "AL"), asking(sample("adt/02"), "AL", "AL")
STORED = Outcome(verdict=Verdict.STORED)


def said(answered: Answered) -> tuple[str, str]:
    return answered.code, answered.control_id


async def accepted(found: Opened, sender: Peer, *names: str) -> None:
    """Send messages one after another; each is accepted, and its outcome waited for."""
    for name in names:
        before = len(found.deposits.outcomes)
        await sender.send(framed(numbered(MESSAGE, name)))
        assert said(await sender.answer()) == ("CA", name)
        await until(lambda before=before: len(found.deposits.outcomes) == before + 1)


def dropped(reason: str) -> float:
    return metrics.snapshot().get(f'dmpgw_answers_dropped_total{{door="mllp",reason="{reason}"}}', 0)


def test_the_next_messages_are_read_while_an_answer_is_still_to_come() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1", "M-2", "M-3")
            # They are answered as they are decided, each matched by MSA-2.
            for number in (2, 1, 3):
                found.deposits.outcomes[number - 1].set_result(STORED)
                assert said(await sender.answer()) == ("AA", f"M-{number}")

    asyncio.run(scenario())


def test_an_event_is_accepted_and_answered_in_two_frames() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await sender.send(framed(EVENT))
            first, last = await sender.answer(), await sender.answer()
            assert (first.code, last.code) == ("CA", "AA")
            assert first.control_id == last.control_id

    asyncio.run(scenario())


def test_a_door_that_closes_waits_for_the_answers_that_are_still_to_come() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1")
            stopping = asyncio.create_task(found.door.stop(5))
            await asyncio.sleep(0.05)
            assert not stopping.done()
            found.deposits.outcomes[0].set_result(STORED)
            assert said(await sender.answer()) == ("AA", "M-1")
            await stopping

    asyncio.run(scenario())


def test_it_waits_no_longer_than_its_deadline() -> None:
    before = dropped("stopped")

    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1")
            await found.door.stop(0.05)
            assert found.deposits.outcomes[0].cancelled()

    asyncio.run(scenario())
    assert dropped("stopped") == before + 1


def test_with_the_line_gone_what_was_to_come_is_dropped_and_counted() -> None:
    before = dropped("gone")

    async def scenario() -> None:
        async with opened(idle_timeout_seconds=0.3) as found:  # a line that is half closed looks the same
            async with peer(found) as sender:
                await accepted(found, sender, "M-1", "M-2")
                sender.writer.transport.abort()
            await until(lambda: all(outcome.cancelled() for outcome in found.deposits.outcomes))
            await until(lambda: found.door.probe().connections == 0)

    asyncio.run(scenario())
    assert dropped("gone") == before + 2


def test_a_sender_that_says_no_more_still_hears_what_is_to_come() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1")
            sender.writer.write_eof()
            await asyncio.sleep(0.05)
            found.deposits.outcomes[0].set_result(STORED)
            assert said(await sender.answer()) == ("AA", "M-1")
            assert await sender.reader.read() == b""

    asyncio.run(scenario())


def test_an_outcome_that_will_not_be_known_costs_one_answer_and_no_line() -> None:
    before = dropped("unknown")

    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1", "M-2")
            found.deposits.outcomes[0].set_exception(Unavailable("QUEUE_UNAVAILABLE"))
            found.deposits.outcomes[1].set_result(STORED)
            assert said(await sender.answer()) == ("AA", "M-2")

    asyncio.run(scenario())
    assert dropped("unknown") == before + 1


def test_a_line_that_waits_for_too_many_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_LATER", 2)

    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1", "M-2")
            await sender.send(framed(numbered(MESSAGE, "M-3")))
            await asyncio.sleep(0.05)
            assert found.deposits.ids == ["M-1", "M-2"]
            found.deposits.outcomes[0].set_result(STORED)
            heard = {said(await sender.answer()), said(await sender.answer())}
            assert heard == {("AA", "M-1"), ("CA", "M-3")}
            assert found.deposits.ids == ["M-1", "M-2", "M-3"]
            for outcome in found.deposits.outcomes[1:]:
                outcome.set_result(STORED)

    asyncio.run(scenario())


def test_a_line_that_is_lost_while_it_waits_for_room_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_LATER", 1)

    async def scenario() -> None:
        async with opened() as found:
            async with peer(found) as sender:
                await accepted(found, sender, "M-1")
                await sender.send(framed(numbered(MESSAGE, "M-2")))
                await asyncio.sleep(0.05)
                await found.door.stop(0.05)
            assert found.door.probe().connections == 0
            assert found.deposits.ids == ["M-1"]

    asyncio.run(scenario())


def test_an_answer_that_is_to_come_keeps_an_idle_line_open() -> None:
    async def scenario() -> None:
        async with opened(idle_timeout_seconds=0.1) as found, peer(found) as sender:
            await accepted(found, sender, "M-1")
            await asyncio.sleep(0.3)
            found.deposits.outcomes[0].set_result(STORED)
            assert said(await sender.answer()) == ("AA", "M-1")
            assert await sender.reader.read() == b""  # then it is idle

    asyncio.run(scenario())


def test_two_that_are_decided_at_once_are_sent_apart() -> None:
    """Clients of the field take what one read gives for one message."""

    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1", "M-2", "M-3")
            (line,) = found.door._connections
            written, transport = [], line._transport
            assert transport is not None
            passed_on = transport.write

            def write(data: bytes) -> None:
                written.append(asyncio.get_running_loop().time())
                passed_on(data)

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(transport, "write", write, raising=False)
                for outcome in found.deposits.outcomes:
                    outcome.set_result(STORED)
                assert {said(await sender.answer()) for _ in range(3)} == {("AA", f"M-{number}") for number in (1, 2, 3)}
            assert min(later - earlier for earlier, later in pairwise(written)) >= connection.APART_SECONDS

    asyncio.run(scenario())


def test_a_lost_boundary_costs_no_answer_that_is_still_to_come() -> None:
    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1")
            await sender.send(b"no frame")
            assert (await sender.answer()).code == "AE"
            found.deposits.outcomes[0].set_result(STORED)
            assert said(await sender.answer()) == ("AA", "M-1")
            assert await sender.reader.read() == b""

    asyncio.run(scenario())


def test_a_frame_without_its_last_byte_is_answered_to_the_end() -> None:
    async def scenario() -> None:
        async with opened(idle_timeout_seconds=0.2) as found, peer(found) as sender:
            await sender.send(framed(numbered(MESSAGE, "M-1"))[:-1])
            assert said(await sender.answer()) == ("CA", "M-1")
            await until(lambda: len(found.deposits.outcomes) == 1)
            found.deposits.outcomes[0].set_result(STORED)
            assert said(await sender.answer()) == ("AA", "M-1")

    asyncio.run(scenario())


def test_an_outcome_that_never_comes_holds_no_place_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies between its acknowledgment to the broker and its reply takes the outcome with it."""
    monkeypatch.setattr(connection, "MOST_LATER", 1)
    monkeypatch.setattr(connection, "LATEST_SECONDS", 0.1)
    before = dropped("late")

    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await accepted(found, sender, "M-1")
            async with asyncio.timeout(20):  # else for ever
                await accepted(found, sender, "M-2")
            assert found.deposits.outcomes[0].cancelled()

    asyncio.run(scenario())
    assert dropped("late") >= before + 1


def test_with_an_accept_acknowledgment_that_nobody_reads_what_follows_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dropped("gone")

    async def unread(*_: object) -> bool:
        raise TimeoutError

    monkeypatch.setattr(connection.MllpConnection, "_write", unread)

    async def scenario() -> None:
        async with opened() as found, peer(found) as sender:
            await sender.send(framed(numbered(MESSAGE, "M-1")))
            assert await sender.reader.read() == b""
            assert [outcome.cancelled() for outcome in found.deposits.outcomes] == [True]

    asyncio.run(scenario())
    assert dropped("gone") == before + 1
