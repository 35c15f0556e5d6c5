"""What every queue promises when something goes wrong: nothing confirmed is lost, nothing unsettled is forgotten."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.model.ports import Unavailable
from gateway.telemetry import points
from tests.contract.queue.backends import BACKENDS
from tests.strategies.submissions import deposit, outcome, patient

PLENTY = (1000, 1 << 30, 0.0)


def publish(queue, *numbers: int) -> None:
    async def walk() -> None:
        for number in numbers:
            await queue.publish(deposit(number))

    asyncio.run(walk())


def numbers(batch) -> list[int]:
    return [int(delivery.receipt[-6:]) for delivery in batch]


def settle(queue, batch) -> None:
    queue.settle([(delivery, outcome(delivery.deposit)) for delivery in batch])


def test_what_is_not_settled_comes_again_in_order(backend) -> None:
    queue = backend.open()
    publish(queue, *range(10))
    batch = queue.take(6, 1 << 30, 0.0)
    settle(queue, [batch[1], batch[3]])
    queue.close()
    again = backend.open()
    assert numbers(again.take(*PLENTY)) == [0, 2, 4, 5, 6, 7, 8, 9]


def test_what_is_settled_never_comes_again(backend) -> None:
    for start in range(3):
        queue = backend.open()
        publish(queue, start)
        batch = queue.take(*PLENTY)
        assert numbers(batch) == [start]
        settle(queue, batch)
        queue.close()
    assert backend.open().take(*PLENTY) == []


def test_a_place_in_the_queue_is_never_given_twice(backend) -> None:
    seen = []
    for number in range(3):
        queue = backend.open()
        publish(queue, number)
        (delivery,) = queue.take(*PLENTY)
        seen.append(delivery.id)
        settle(queue, [delivery])
        queue.close()
    assert seen == sorted(set(seen))


def test_a_worker_that_fails_before_it_has_its_batch_gets_it_again(backend) -> None:
    queue = backend.open()
    publish(queue, 1, 2)

    def fail() -> None:
        raise OSError(5, "Input/output error")

    points.hooks["queue.taken"] = fail
    with pytest.raises(OSError, match="Input/output"):
        queue.take(*PLENTY)
    points.hooks.clear()
    assert numbers(queue.take(*PLENTY)) == [1, 2]


def test_closing_while_they_publish(backend) -> None:
    queue = backend.open()

    async def session(number: int, confirmed: list[int], enough: asyncio.Event) -> None:
        try:
            while True:
                waiting = await queue.publish(deposit(number))
                confirmed.append(number)
                if len(confirmed) == 100:
                    enough.set()
                number += 100
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(waiting), 0.001)
        except Unavailable:
            with pytest.raises(Unavailable):
                await queue.publish(deposit(number))

    async def walk() -> list[int]:
        confirmed: list[int] = []
        enough = asyncio.Event()
        sessions = [asyncio.create_task(session(number, confirmed, enough)) for number in range(40)]
        await asyncio.wait_for(enough.wait(), 20)
        await asyncio.to_thread(queue.close)
        await asyncio.wait_for(asyncio.gather(*sessions), 20)
        return confirmed

    confirmed = asyncio.run(walk())
    assert len(confirmed) >= 100
    found = sorted(numbers(backend.open().take(10_000, 1 << 30, 0.0)))
    assert set(confirmed) <= set(found)
    assert len(found) == len(set(found)), "published again"
    if backend.closing_answers:
        # Closed means answered: what was written has been confirmed, nothing else was.
        assert found == sorted(confirmed)


def test_closing_lets_everybody_go(backend) -> None:
    queue = backend.open()
    taken = []
    worker = threading.Thread(target=lambda: taken.append(queue.take(1, 1, 60.0)))
    worker.start()

    async def walk() -> None:
        waiting = await again.publish(deposit(1))
        await asyncio.to_thread(again.close)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(waiting, 5)

    time.sleep(0.3)
    queue.close()
    worker.join(10)
    assert taken == [[]]
    again = backend.open()
    asyncio.run(walk())
    for closed in (queue, again):
        with pytest.raises(Unavailable):
            closed.take(*PLENTY)
        with pytest.raises(Unavailable):
            publish(closed, 2)
        closed.close()


#: Nobody else writes these: a broker keeps what other tests sent it.
CANARIES = ("SERINUS", "275016301234597", "Titre du serin", "Contenu du serin, en clair dans le document")


def everywhere(canary: str) -> list[bytes]:
    """A canary as it is, in UTF-16, and inside base64 at each of its three phases."""
    plain = canary.encode()
    shifted = [base64.b64encode(b"x" * phase + plain)[4 if phase else 0 : -4] for phase in range(3)]
    return [plain, canary.encode("utf-16-le"), plain.hex().encode(), *shifted]


def test_nothing_can_be_read_in_the_files(backend) -> None:
    content = b"<text>Contenu du serin, en clair dans le document</text>"
    made = deposit(
        1,
        identity=patient("275016301234597", "SERINUS"),
        contents=(content, base64.b64encode(content), content * 50),
        payload=b"PID|||275016301234597||SERINUS\rOBX||ED|||" + base64.b64encode(content),
        title="Titre du serin",
    )
    queue = backend.open()

    async def walk() -> None:
        for _ in range(5):
            await queue.publish(made)

    asyncio.run(walk())
    batch = queue.take(3, 1 << 30, 0.0)
    assert batch[0].deposit == made
    looked_at = [backend.stored()]
    settle(queue, batch)
    looked_at.append(backend.stored())
    queue.close()
    looked_at.append(backend.stored())
    assert all(made.reception.receipt.encode() in stored for stored in looked_at), "looked in the wrong place"
    for canary in CANARIES:
        for form in everywhere(canary):
            assert not any(form in stored for stored in looked_at), canary


TAMPERED = {
    "a bit": ("Damaged", lambda lane, receipt, sealed: (lane, receipt, sealed[:-1] + bytes((sealed[-1] ^ 1,)))),
    "cut": ("Damaged", lambda lane, receipt, sealed: (lane, receipt, sealed[:10])),
    "emptied": ("Damaged", lambda lane, receipt, _: (lane, receipt, b"")),
    "moved": ("Damaged", lambda _, receipt, sealed: ("deposits.15", receipt, sealed)),
    "moved, label too": ("Damaged", lambda _, receipt, sealed: ("deposits.4", receipt, sealed.replace(b"s.3", b"s.4", 1))),
    "newer": ("NewerVersion", lambda lane, receipt, sealed: (lane, receipt, b"\x02" + sealed[1:])),
    "of another day": ("KeyMissing", lambda lane, receipt, sealed: (lane, receipt, sealed[:2] + bytes(4) + sealed[6:])),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_cannot_be_opened_stays_and_is_in_nobodys_way(backend, how: str) -> None:
    """What no door of ours sealed stays as well, or is given up where a broker has a place for it."""
    what, change = TAMPERED[how]
    given_up = what == "Damaged" and not backend.keeps_damaged
    queue = backend.open()
    publish(queue, 1, 2, 3)
    queue.close()
    backend.rewrite(lambda lane, receipt, sealed: change(lane, receipt, sealed) if "2" in receipt else (lane, receipt, sealed))
    for attempt in range(2):
        queue = backend.open()
        assert numbers(queue.take(*PLENTY)) == [1, 3]
        told = [] if given_up and attempt else [(deposit(2).reception.receipt, what)]
        assert backend.unopened == told
        assert queue.problem() == (f"cannot open: {deposit(2).reception.receipt} ({what})" if told else None)
        assert sum(depth.waiting for depth in queue.depth()) == (2 if given_up else 3)
        queue.close()
        backend.unopened.clear()
    queue = backend.open()
    found = []
    while batch := queue.take(1, 1, 0.0):
        found += numbers(batch)
        settle(queue, batch)
    assert found == [1, 3]
    assert sum(depth.waiting for depth in queue.depth()) == (0 if given_up else 1)
    if given_up:
        assert backend.given_up() == 1


def test_the_envelope_of_another_receipt_is_refused(backend) -> None:
    queue = backend.open()
    publish(queue, 1, 2)
    queue.close()
    sealed = {}
    backend.rewrite(lambda *row: (row[0], row[1], sealed.setdefault(row[1], row[2])))
    one, other = sealed
    swapped = {one: sealed[other], other: sealed[one]}
    backend.rewrite(lambda lane, receipt, _: (lane, receipt, swapped[receipt]))
    queue = backend.open()
    assert queue.take(*PLENTY) == []
    assert backend.unopened == [(one, "Damaged"), (other, "Damaged")]


KILLED = (
    # The point and which hit of it; what is there afterwards.
    ("queue.publish.begun:5", [1, 2, 3, 4]),
    ("queue.publish.committed:5", [1, 2, 3, 4, 5]),
    ("queue.taken:1", [1, 2, 3, 4, 5, 6]),
    ("queue.taken:2", [4, 5, 6]),
    ("queue.settle.written:1", [1, 2, 3, 4, 5, 6]),
    ("queue.settle.committed:1", [4, 5, 6]),
)


@pytest.mark.faults
@pytest.mark.parametrize(("kill", "left"), KILLED)
def test_a_process_killed_at(backend, kill: str, left: list[int]) -> None:
    """Six are published one by one, three taken and settled, three taken."""
    kind = next(name for name, made in BACKENDS.items() if type(backend) is made)
    command = [sys.executable, str(Path(__file__).with_name("child.py")), kind, str(backend.folder)]
    environment = os.environ | backend.environment | {"DMP_GATEWAY_KILL_AT": kill}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 128 + signal.SIGKILL, ended.stderr
    said = [word.split(":") for word in ended.stdout.split()]
    confirmed, begun, settled = ({int(n) for word, n in said if word == each} for each in ("confirmed", "settling", "settled"))
    queue = backend.open()
    found = numbers(queue.take(*PLENTY))
    if kill == "queue.settle.committed:1" and not backend.settles_at_once:
        assert found in (left, [1, 2, 3, *left]), "the broker has read it, or it comes again"
    else:
        assert found == left
    assert confirmed - begun <= set(found), "a confirmed deposit is lost"
    assert not settled & set(found), "a settled deposit comes again"
    publish(queue, 100)
