"""
F12: a disk is full, or the broker has an alarm: no AA for what is not durable, nothing lost, and on again with room.

The disk is a small tmpfs filled by a ballast; who may not mount one does the alarms alone. A PostgreSQL server whose log has no
room stops, and is started by hand as its operator would.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from gateway.queue.rabbitmq.setup import counts
from tests.harness import postgres, rabbitmq
from tests.harness.broker_rig import BrokerRig
from tests.harness.disk import CannotMount, Disk
from tests.harness.judge import Judgement
from tests.harness.ledger import read
from tests.harness.load import Load
from tests.harness.rig import Rig
from tests.harness.traffic import Patient, Traffic
from tests.proof.line import Line, Run

#: The first AA after there is room again (L8).
_AFTER_SECONDS: Final = 10.0
_DRAIN_SECONDS: Final = 120.0
#: How long a broker whose queues are down after a full disk is left to itself.
_BY_ITSELF_SECONDS: Final = 30.0
#: How long something is waited for that must come at some time.
_LONG_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.05
#: Megabytes: of a folder of files of ours; of a broker's data, whose own alarm is at 64; of a server's data, and of its log.
_FILES, _BROKER, _DATA, _LOG = 12, 300, 170, 90

#: What the broker has an alarm of, by the command that raises it and the one that ends it.
ALARMS: Final = {
    "memory": (("set_vm_memory_high_watermark", "absolute", "1MB"), ("set_vm_memory_high_watermark", "absolute", "1GB")),
    "disk": (("set_disk_free_limit", "100TB"), ("set_disk_free_limit", "64MB")),
}


class Scene:
    """A gateway under load, and how far its clients' ledgers were looked at."""

    def __init__(self, rig: Rig, load: Load) -> None:
        self.rig, self.load = rig, load
        self.failures: list[str] = []
        self.faults = 0

    def answered(self, code: str, since: float) -> int:
        """Return how many answers of a kind came since an instant."""
        lines = (line for path in self.rig.ledgers.glob("connection-*.jsonl") for line in read(path))
        return sum(line["event"] == "answer" and line["code"] == code and line["at"] > since for line in lines)

    def wait(self, there: Callable[[], bool], missing: str, seconds: float = _LONG_SECONDS) -> bool:
        """Wait for something; where it does not come, the run is not what it was meant to be."""
        limit = time.monotonic() + seconds
        while not there():
            if time.monotonic() > limit:
                self.failures.append(f"{missing} for {seconds:.0f} s")
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def wait_refused(self, enough: int = 3) -> None:
        """Wait until so many sends more were answered AR."""
        since = time.time()
        self.wait(lambda: self.answered("AR", since) >= enough, "nobody was answered AR")

    def wait_accepted(self, slack: float = 0.0) -> None:
        """Wait for another AA, from now on: kept as a recovery, or as too slow (L8)."""
        begun = time.time()
        if self.wait(lambda: self.load.accepted_at > begun, "no AA", _AFTER_SECONDS + slack):
            self.rig.recoveries.append(self.load.accepted_at - begun)

    def wait_written(self, slack: float = 0.0) -> None:
        """Wait until something more was written down, from now on (L8)."""
        begun, before = time.time(), len(self.rig.took_effect())
        if self.wait(lambda: len(self.rig.took_effect()) > before, "nothing was written", _AFTER_SECONDS + slack):
            self.rig.recoveries.append(time.time() - begun)


#: What happens to a gateway under load.
Trouble = Callable[[Scene], None]


def run_scene(
    rig: Rig, patients: Sequence[Patient], strands: Callable[[], list], connections: int, troubles: Sequence[Trouble]
) -> Run:
    """Start a gateway, put it under load, let things happen one after the other, judge."""
    begun = time.monotonic()
    rig.open_records(patients)
    load = Load(strands, rig.ledgers, connections=connections)
    scene = Scene(rig, load)
    rig.start()
    load.start(rig.gateway.port)
    load.wait_heard(rig.gateway.port, 30)
    for trouble in troubles:
        time.sleep(0.3)
        trouble(scene)
        scene.faults += 1
    load.finish()
    rig.drained(_DRAIN_SECONDS)
    found: Judgement = rig.judged()
    return Run(
        judgement=found,
        kills=rig.kills,
        faults=scene.faults,
        recoveries=rig.recoveries,
        failures=[*load.failures, *scene.failures],
        seconds=time.monotonic() - begun,
    )


# -- the embedded gateway


def full(disk: Disk, seconds: float, *, refused: bool = True, killed: bool = False, slack: float = 0.0) -> Trouble:
    """A disk of the gateway's is full for a while; it is killed meanwhile, or not, and started again with room."""

    def happens(scene: Scene) -> None:
        end, since = time.monotonic() + seconds, time.time()
        while time.monotonic() < end or (refused and not scene.answered("AR", since) and time.monotonic() < end + _LONG_SECONDS):
            disk.fill()
            time.sleep(_LOOK_SECONDS)
        if refused and not scene.answered("AR", since):
            scene.failures.append("the disk was full, and nobody was answered AR")
        if killed:
            scene.rig.kill(scene.load)
        said = scene.rig.log.stat().st_size
        disk.make_room()
        if killed:
            scene.rig.restart(scene.load)
        else:
            scene.wait_accepted(slack)
            scene.wait(lambda: scene.rig.log.stat().st_size > said, "there is room, and nothing more was said in the log")

    return happens


def embedded(
    folder: Path, seed: int, *, place: str = "data", seconds: float = 2.0, killed: bool = False, slack: float = 0.0
) -> Run:
    """
    F12 of one process that owns its files: the folder of the store and the queue is full, of temporary files, of the log.

    Args:
        folder: Empty.
        seed: Decides the traffic.
        place: `data`, `tmp` or `log`: what is on the small disk.
        seconds: How long it is full.
        killed: Whether it is killed while it is full.
        slack: What a busy machine may take longer to come back.
    """
    traffic = Traffic(seed, people=10)
    rig = Rig(folder)
    with Disk(_FILES, folder / ("small" if place == "log" else place)) as disk:
        if place == "log":
            rig.log.symlink_to(disk.path / "gateway.log")
        try:
            trouble = full(disk, seconds, refused=place == "data", killed=killed, slack=slack)
            return run_scene(rig, traffic.patients, traffic.strand, 8, [trouble])
        finally:
            rig.gateway.kill()


# -- the broker


def alarm(kind: str, seconds: float, *, slack: float = 0.0) -> Trouble:
    """The broker has an alarm for a while: it reads nothing more of those who publish; what is there is still taken."""

    def happens(scene: Scene) -> None:
        assert isinstance(scene.rig, BrokerRig)
        node = scene.rig.node
        begin, end = ALARMS[kind]
        node.control(*begin)
        try:
            scene.wait_refused()
            time.sleep(seconds)
            scene.wait(lambda: not any(counts(node.url).values()), "with an alarm of the broker what is there was not taken")
        finally:
            node.control(*end)
        scene.wait_accepted(slack)

    return happens


@contextmanager
def brokered(
    folder: Path, seed: int, node: rabbitmq.Node, database: str, workers: int = 2
) -> Iterator[tuple[BrokerRig, Traffic]]:
    """A gateway of several processes, not started; ended at the end."""
    rig = BrokerRig(folder, node, database, workers=workers)
    try:
        yield rig, Traffic(seed, people=random.Random(seed).randint(10, 20))
    finally:
        rig.close()


def alarmed(
    folder: Path, seed: int, troubles: Sequence[Trouble], node: rabbitmq.Node, *, connections: int = 8, workers: int = 2
) -> Run:
    """Alarms of a broker, one after the other, against doors and workers."""
    server = postgres.shared()
    node.empty()
    database = server.lend(clean=False)
    try:
        with brokered(folder, seed, node, database, workers) as (rig, traffic):
            return run_scene(rig, traffic.patients, traffic.strand, connections, troubles)
    finally:
        server.give_back(database, thoroughly=False)
        node.empty()


def broker_disk(disk: Disk, seconds: float, spare: int) -> Trouble:
    """
    The disk of the broker's data has no room but `spare` bytes, for a while.

    With room left its own alarm comes within ten seconds; without any its queues answer nobody before that: a broker that does
    not come back by itself is started again as its operator would.
    """

    def happens(scene: Scene) -> None:
        assert isinstance(scene.rig, BrokerRig)
        node = scene.rig.node
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            disk.fill(spare)
            time.sleep(_LOOK_SECONDS)
        scene.wait_refused()
        disk.make_room()
        if not spare:
            limit = time.monotonic() + _BY_ITSELF_SECONDS
            while (down := "down" in node.control("list_queues", "state")) and time.monotonic() < limit:
                time.sleep(1)
            if down:
                node.stop()
                node.start()
        scene.wait_accepted()

    return happens


def broker_full(folder: Path, seed: int, *, seconds: float, spare: int) -> Run:
    """F12 of a broker's disk."""
    with ExitStack() as stack:
        disk = stack.enter_context(Disk(_BROKER))
        node = rabbitmq.Node(disk=disk.path)
        stack.callback(node.close)
        return alarmed(folder, seed, [broker_disk(disk, seconds, spare)], node)


# -- the database


def data_full(disk: Disk, seconds: float, slack: float) -> Trouble:
    """The disk of the database's tables is full: deposits wait in the queue, events are answered AR."""

    def happens(scene: Scene) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            disk.fill()
            time.sleep(_LOOK_SECONDS)
        disk.make_room()
        scene.wait_written(slack)

    return happens


def log_full(cluster: postgres.Cluster, disk: Disk, seconds: float, slack: float) -> Trouble:
    """The disk of the database's write-ahead log is full: the server stops, and is started by hand once there is room."""

    def happens(scene: Scene) -> None:
        limit = time.monotonic() + _LONG_SECONDS
        while cluster.running and time.monotonic() < limit:
            disk.fill()
            time.sleep(_LOOK_SECONDS)
        if cluster.running:
            scene.failures.append("the disk of the log was full, and the server lived on")
        time.sleep(seconds)
        disk.make_room()
        if not cluster.running:
            cluster.start()
        scene.wait_written(slack)

    return happens


def database_full(
    folder: Path, seed: int, *, node: rabbitmq.Node | None = None, wal: bool, seconds: float, slack: float = 0.0
) -> Run:
    """F12 of a database's disk: of its tables, or of its write-ahead log; with a broker, or embedded doors and worker."""
    settings = {"max_wal_size": "32MB", "min_wal_size": "32MB"}
    with ExitStack() as stack:
        data, log = stack.enter_context(Disk(_DATA)), stack.enter_context(Disk(_LOG))
        cluster = postgres.Cluster(disk=data.path, wal=log.path, settings=settings)
        stack.callback(cluster.close)
        trouble = log_full(cluster, log, seconds, slack) if wal else data_full(data, seconds, slack)
        database = cluster.lend(clean=False)
        if node is not None:
            node.empty()
            rig, traffic = stack.enter_context(brokered(folder, seed, node, database))
            return run_scene(rig, traffic.patients, traffic.strand, 8, [trouble])
        traffic, rig_alone = Traffic(seed, people=10), Rig(folder, database=database)
        stack.callback(rig_alone.gateway.kill)
        return run_scene(rig_alone, traffic.patients, traffic.strand, 8, [trouble])


# -- the line


def _can_mount() -> bool:
    try:
        Disk(1).close()
    except CannotMount:
        return False
    return True


def _full(folder: Path, seed: int, number: int, _end: float) -> Run:
    """F12: each disk in turn, and the alarms."""
    chance = random.Random(seed)
    seconds = chance.choice((2.0, 15.0))
    kinds: list[Callable[[], Run]] = [
        *(lambda kind=kind: _on_a_node(lambda node: alarmed(folder, seed, [alarm(kind, seconds)], node)) for kind in ALARMS)
    ]
    if _can_mount():
        kinds += [
            lambda: embedded(folder, seed, place="data", seconds=seconds),
            lambda: embedded(folder, seed, place="data", seconds=seconds, killed=True),
            lambda: embedded(folder, seed, place="log", seconds=seconds),
            lambda: embedded(folder, seed, place="tmp", seconds=seconds),
            lambda: broker_full(folder, seed, seconds=20.0, spare=32 << 20),
            lambda: broker_full(folder, seed, seconds=20.0, spare=0),
            lambda: _on_a_node(lambda node: database_full(folder, seed, node=node, wal=False, seconds=seconds)),
            lambda: _on_a_node(lambda node: database_full(folder, seed, node=node, wal=True, seconds=seconds)),
            lambda: database_full(folder, seed, wal=False, seconds=seconds),
            lambda: database_full(folder, seed, wal=True, seconds=seconds),
        ]
    return kinds[number % len(kinds)]()


def _on_a_node(run: Callable[[rabbitmq.Node], Run]) -> Run:
    node = rabbitmq.Node()
    try:
        return run(node)
    finally:
        node.close()


LINES: Final = (
    Line(
        name="F12",
        what="a full disk of the broker, the database, its log, our files; the broker's alarms: no AA for what is not kept",
        unit="full disks",
        night=240,
        share=2,
        least_seconds=180,
        run=_full,
        units=lambda run: run.faults,
    ),
)
