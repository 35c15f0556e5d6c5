"""`queue status`: what is ready, in hand, since when and who takes it, of a file and of a broker with and without its plug-in."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika
import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from gateway.queue import lanes
from gateway.queue.embedded import EmbeddedQueue
from gateway.queue.keys import Keys, initialise
from gateway.queue.rabbitmq import topology
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from tests.harness import rabbitmq
from tests.harness.broker_lanes import HOURS, LANE, Lanes, until
from tests.harness.door import Door
from tests.strategies.submissions import deposit


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Lanes]:
    """Without the plug-in."""
    node = rabbitmq.shared()
    node.empty()
    made = Lanes(node, tmp_path / "data")
    yield made
    made.close()


@pytest.mark.faults
def test_a_broker_without_its_plug_in_tells_what_it_can_and_says_what_not(broker: Lanes, tmp_path: Path) -> None:
    for number in range(3):
        broker.publish(number)
    before = broker.status(code=1)[LANE]
    asked = ("ready", "unacknowledged", "consumers", "oldest_age_seconds", "active", "published")
    assert [before[name] for name in asked] == [3, 0, 0, None, None, None]
    told = broker.run("queue", "status")
    assert "rabbitmq-plugins enable rabbitmq_management" in told.stderr and "taken by nobody: all 20" in told.stderr

    holder = broker.worker(0, 2)
    until(lambda: broker.status()[LANE]["unacknowledged"] == 3)
    standby = broker.worker(1, 2)
    until(lambda: all(line["consumers"] == 2 for name, line in broker.status().items() if name in lanes.CARRYING))
    batch = holder.take(10, 1 << 20, 20)
    found = broker.status(code=0)
    held = found[LANE]
    assert (held["ready"], held["unacknowledged"], held["dead_letter"], held["dead_letter_messages"]) == (
        0,
        3,
        "dmpgw.v2.dead",
        0,
    )
    assert HOURS.total_seconds() <= held["oldest_age_seconds"] < HOURS.total_seconds() + 600
    assert held["active"].startswith("worker 1 of 2, pid ")
    # Two could, and nobody holds anything: the broker alone does not tell who is active.
    other = next(each for each in lanes.DEPOSITS if each != LANE)
    assert (found[other]["consumers"], found[other]["active"], found[other]["unacknowledged"]) == (2, None, 0)

    # Keys of another installation: the workers answer nothing, and the verb says so instead of 0.
    (tmp_path / "other").mkdir(mode=0o700)
    initialise(tmp_path / "other" / "keys", SystemClock())
    told = broker.run("queue", "status", "--json", "--data", str(tmp_path / "other"))
    line = next(line for line in map(json.loads, told.stdout.splitlines()) if line["lane"] == LANE)
    assert (line["unacknowledged"], line["oldest_age_seconds"]) == (None, None)
    assert "0 of 2 workers answered" in told.stderr
    told = broker.run("queue", "status", "--data", str(tmp_path / "none"))
    assert "none to be read" in told.stderr and not (tmp_path / "none").exists()

    holder.settle([(each, Outcome(verdict=Verdict.STORED, receipt=each.receipt)) for each in batch])
    until(lambda: broker.status(code=0)[LANE]["unacknowledged"] == 0)
    # An answer that came too late for who asked is no trouble of the worker's.
    assert {holder.problem(), standby.problem()} == {None}


@pytest.fixture
def node() -> Iterator[rabbitmq.Node]:
    """A broker with the plug-in."""
    made = rabbitmq.Node(management=True)
    yield made
    made.close()


def unbind(node: rabbitmq.Node) -> None:
    """Take a lane's binding away, as another hand may."""
    with pika.BlockingConnection(pika.URLParameters(node.url)) as connection:
        connection.channel().queue_unbind(topology.queue_of(LANE), topology.EXCHANGE, LANE)


def put(node: rabbitmq.Node, path: str, body: object) -> None:
    """Set something by the plug-in: quicker than `rabbitmqctl`."""
    connection = http.client.HTTPConnection(node.management_url.removeprefix("http://"), timeout=30)
    connection.request(
        "PUT", path, json.dumps(body), {"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q=", "Content-Type": "application/json"}
    )
    assert connection.getresponse().status in {201, 204}
    connection.close()


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_the_plug_in_tells_what_passed_who_is_active_and_what_is_wrong(
    node: rabbitmq.Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Lanes(node, tmp_path / "data")
    try:
        first = broker.worker(0, 2)
        until(lambda: all(line["consumers"] for name, line in broker.status().items() if name in lanes.CARRYING))
        broker.worker(1, 2)
        broker.publish(1)
        (taken,) = first.take(10, 1 << 20, 30)
        first.settle([(taken, Outcome(verdict=Verdict.STORED, receipt=taken.receipt))])
        broker.publish(2)
        found: dict[str, Any] = {}

        def counted() -> bool:
            """The plug-in counts a while later."""
            found.update(broker.status(code=0))
            passed = [found[LANE][name] for name in ("published", "settled", "unacknowledged")] == [2, 1, 1]
            return passed and {line["state"] for line in found.values()} == {"running"}

        until(counted)
        # Nobody holds anything of the other lanes: the broker says who is active.
        assert {found[each]["active"].partition(",")[0] for each in lanes.DEPOSITS} == {"worker 1 of 2"}
        until(lambda: broker.run("queue", "status").stderr == "")
        well = broker.doctor()
        assert {state for each in ("broker", "policies", "workers") for state, _ in well[each]} == {"ok"}
        assert well["lanes"] == [("problem", f"0 ready and 1 handed out ({LANE} 0+1), the oldest for 3 h")]
        unbind(node)
        lost = f"binding of {topology.queue_of(LANE)} to {topology.EXCHANGE}"
        for _ in range(2):  # the first look mended nothing
            looked = broker.run("queue", "setup", "--check")
            assert looked.exit_code == 1 and [line for line in looked.stdout.splitlines() if "missing" in line and lost in line]
        assert ("problem", f"1 of its parts is missing: {lost}") in broker.doctor()["broker"]
        assert broker.run("queue", "setup").exit_code == 0 == broker.run("queue", "setup", "--check").exit_code
        policy = {"pattern": ".*", "definition": {"message-ttl": 60_000, "max-length": 10}, "apply-to": "queues"}
        put(node, "/api/policies/%2F/everything", policy)
        node.control("set_vm_memory_high_watermark", "absolute", "1MB")
        monkeypatch.setattr("gateway.queue.rabbitmq.setup._BLOCKED_SECONDS", 0.5)
        told: dict[str, list[tuple[str, str]]] = {}

        def alarmed() -> bool:
            told.clear()
            told.update(broker.doctor())
            return "alarm: memory" in str(told) and len(told.get("policy everything", ())) == 2

        until(alarmed)
        assert [state for name, each in told.items() if name.startswith("node ") for state, _ in each] == ["problem"]
        # Without the plug-in too: a broker that reads nothing is known by a message that it does not take.
        assert any(state == "problem" and "it has an alarm" in text for state, text in told["broker"])
        assert [state for state, text in told["policy everything"] if "message-ttl" in text] == ["problem"]
        assert [state for state, text in told["policy everything"] if "max-length" in text] == ["note"]
    finally:
        broker.close()


@pytest.mark.faults
def test_a_check_mends_no_binding_and_says_that_it_sees_none(broker: Lanes) -> None:
    assert broker.run("queue", "setup", "--check").exit_code == 0
    unbind(broker.node)
    try:
        told = broker.run("queue", "setup", "--check", "--json")
        assert told.exit_code == 0
        (line,) = [line for line in map(json.loads, told.stdout.splitlines()) if line["step"] == "warning"]
        assert "bindings were not looked at" in line["what"] and "rabbitmq-plugins enable" in line["advice"]
        broker.doctor()
        with pytest.raises(Unavailable):
            broker.publish(1)
    finally:
        assert broker.run("queue", "setup").exit_code == 0
    broker.publish(1)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("amqp://guest:geheim@127.0.0.1:{}/%2F", "it refuses the user or the password"),
        ("amqp://guest:guest@127.0.0.1:{}/geheim-not", "it refuses the user this virtual host, or has none of this name"),
        ("amqp://guest:geheim@127.0.0.1:{}x/%2F", "is no AMQP URL (ValueError): write amqp://"),
    ],
)
def test_an_address_that_is_wrong_is_told_in_words_without_its_password(tmp_path: Path, address: str, words: str) -> None:
    environment = {"AMQP_URL": address.format(rabbitmq.shared().port), "DMP_GATEWAY_DATA": str(tmp_path / "data")}
    for verb in (("queue", "status"), ("queue", "setup"), ("doctor",)):
        told = CliRunner().invoke(main, verb, env=environment)
        assert told.exit_code == 1 and words in " ".join(told.output.split()), told.output
        assert "virtual host of AMQP_URL are right" in " ".join(told.output.split())
        assert ":geheim@" not in told.output


@pytest.mark.faults
def test_an_empty_broker_lacks_its_layout_and_is_not_blamed_for_its_limits(tmp_path: Path) -> None:
    node = rabbitmq.Node(prepared=False)
    try:
        environment = {"AMQP_URL": node.url, "DMP_GATEWAY_DATA": str(tmp_path / "data")}
        told = CliRunner().invoke(main, ["queue", "setup", "--check", "--json"], env=environment)
        lines = list(map(json.loads, told.stdout.splitlines()))
        assert told.exit_code == 1
        assert {line["step"] for line in lines[1:-1]} == {"missing"} and lines[-1]["step"] == "warning"
        told = CliRunner().invoke(main, ["doctor"], env=environment)
        assert "23 of its parts are missing" in told.stdout and "max_message_size" not in told.stdout
        assert "0 ready and 0 handed out" not in told.stdout, "no lane is there"
    finally:
        node.close()


@pytest.mark.faults
def test_what_was_given_up_ends_with_1(broker: Lanes) -> None:
    worker = broker.worker()
    until(lambda: all(line["consumers"] for name, line in broker.status().items() if name != "dead"))
    assert broker.run("queue", "status").exit_code == 0
    asyncio.run(broker.door.door._confirmed(LANE, "stranger", b"\x01 not sealed", reply_to=None, received_at=None))
    assert worker.take(1, 1000, 0.5) == []
    until(lambda: broker.status()["dead"]["ready"] == 1)
    told = broker.run("queue", "status")
    assert told.exit_code == 1 and "1 messages were given up" in told.stderr and "dead (1)" in told.stdout


def test_a_file_without_a_gateway_tells_what_lies_there(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    told = CliRunner().invoke(main, ["queue", "status", "--data", str(directory.path)])
    assert told.exit_code == 1 and "There is no queue" in told.stderr
    directory.path.mkdir(mode=0o700)
    initialise(directory.keys, SystemClock())
    queue = EmbeddedQueue(directory.queue, Keys.open(directory.keys, SystemClock()))
    for number in range(3):
        asyncio.run(queue.publish(deposit(number)))
    (taken, *_) = queue.take(1, 1, 5)
    depth = next(each for each in queue.depth() if each.lane == LANE)
    assert (depth.waiting, depth.in_hand, taken.lane) == (3, 1, LANE)
    queue.close()
    told = CliRunner().invoke(main, ["queue", "status", "--data", str(directory.path), "--json"])
    found = {line["lane"]: line for line in map(json.loads, told.stdout.splitlines())}
    assert list(found) == list(lanes.CARRYING)
    line = found[LANE]
    assert (line["ready"], line["unacknowledged"], line["consumers"], line["oldest_received_at"]) == (
        3, 0, 0, deposit(0).reception.received_at,
    )  # fmt: skip
    assert told.exit_code == 1 and "no gateway runs" in told.stderr


@pytest.mark.door
def test_a_running_gateway_tells_of_its_own_file(tmp_path: Path) -> None:
    with Door(tmp_path) as door:
        found = door.verb("queue", "status")
        assert {line["lane"] for line in found} == set(lanes.CARRYING)
        assert {(line["consumers"], line["ready"], line["unacknowledged"]) for line in found} == {(1, 0, 0)}
        assert all(line["active"].startswith("worker, pid ") for line in found)
