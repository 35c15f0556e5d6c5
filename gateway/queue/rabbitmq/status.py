"""
How it stands with the lanes, for an operator: what the broker says to anybody, what the workers answer, what the plug-in tells.

=================  ==========================================================================================
ready              the broker, by AMQP
consumers          the broker, which counts the active one alone; those that stand by, workers or plug-in
unacknowledged     the workers, where all of them answer; else the plug-in; none where nobody takes
oldest             the workers: the head of a lane is always in the hands of its one active consumer
active, in, out    the plug-in; with one consumer that one is active
=================  ==========================================================================================

What nobody tells is None, and `StatusOf.unknown` says why.
"""

import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from pika import BasicProperties

from gateway.model.base import Model
from gateway.queue import lanes
from gateway.queue.errors import KeysUnusable, Unopened
from gateway.queue.keys import Keys
from gateway.queue.rabbitmq.management import Management, NoManagement, QueueFacts
from gateway.queue.rabbitmq.setup import BrokerUnusable, LaneState, connected, lanes_of
from gateway.queue.rabbitmq.topology import EXCHANGE, WORKERS
from gateway.queue.rabbitmq.workers import ANSWERED, ANSWERS, ASKED, WorkerState
from gateway.queue.seal import open_sealed, seal

_LOOK_SECONDS: Final = 0.1
#: The lane of what was given up.
DEAD_LANE: Final = "dead"


class LaneStatus(Model, frozen=True, kw_only=True):
    """One lane."""

    lane: str
    queue: str
    #: Messages that are not handed out; None: the queue is not there.
    ready: int | None
    consumers: int | None
    #: Handed out and not settled; None: not known.
    unacknowledged: int | None
    #: Reception of the one that waits longest, ISO 8601 UTC; None: nothing waits, or not known.
    oldest: str | None
    #: Who takes; None: nobody, or not known.
    active: str | None
    #: Messages published into it and settled since its node counts; None: not known.
    published: int | None
    settled: int | None
    #: The broker's word for its state; None: not known.
    state: str | None

    @property
    def waiting(self) -> int | None:
        """Return how many are not settled; None: not known."""
        return None if self.ready is None or self.unacknowledged is None else self.ready + self.unacknowledged


class BrokerStatus(Model, frozen=True, kw_only=True):
    """All lanes, and what could not be learnt."""

    lanes: tuple[LaneStatus, ...]
    workers: tuple[WorkerState, ...]
    #: Workers that are connected: each takes requests.
    connected: int
    #: Why something is not known, and what to do; empty where all is.
    unknown: tuple[tuple[str, str], ...] = ()

    @property
    def given_up(self) -> int:
        """Return how many messages the broker gave up."""
        return next((each.ready or 0 for each in self.lanes if each.lane == DEAD_LANE), 0)

    def deposits(self) -> tuple[int, int | None]:
        """Return how many messages wait in the lanes that carry deposits, and how many are handed out (None: not known)."""
        carrying = [each for each in self.lanes if each.lane in lanes.CARRYING]
        handed_out = [each.unacknowledged for each in carrying if each.ready is not None]
        known = [each for each in handed_out if each is not None]
        return sum(each.ready or 0 for each in carrying), sum(known) if len(known) == len(handed_out) else None

    def oldest(self) -> str | None:
        """Return the reception of the deposit that waits longest, as far as it is known."""
        return min((each.oldest for each in self.lanes if each.lane in lanes.CARRYING and each.oldest), default=None)


def broker_status(url: str, keys: Keys | str, place: str = "") -> BrokerStatus:
    """
    Ask broker, workers and plug-in.

    Args:
        url: The broker.
        keys: The keys of this machine; a text: why there are none, and the workers cannot be asked.
        place: Of the management plug-in; see `Management`.

    Raises:
        BrokerUnusable: the broker cannot be reached.
    """
    found = lanes_of(url)
    connected_workers = next((each.consumers or 0 for each in found if each.lane == lanes.REQUESTS), 0)
    unknown: list[tuple[str, str]] = []
    workers = _workers(url, keys, connected_workers, unknown)
    all_answered = len(workers) == connected_workers
    try:
        management = Management(url, place)
        facts, active = management.queues(), _active(management, workers)
    except NoManagement as missing:
        facts, active = {}, {}
        unknown.append(
            (f"messages in and out, and who is active: the management plug-in is not there: {missing}", missing.advice)
        )
    return BrokerStatus(
        lanes=tuple(_lane(each, workers if all_answered else None, facts.get(each.queue), active) for each in found),
        workers=workers,
        connected=connected_workers,
        unknown=tuple(unknown),
    )


def _workers(url: str, keys: Keys | str, expected: int, unknown: list[tuple[str, str]]) -> tuple[WorkerState, ...]:
    what = "what the workers have in hand, and since when"
    if isinstance(keys, str):
        if expected:
            unknown.append(
                (f"{what}: they tell it to who has their keys, and {keys}", "give --data, on a machine of the gateway")
            )
        return ()
    try:
        found = ask_workers(url, keys, expected)
    except (BrokerUnusable, KeysUnusable) as failure:
        unknown.append((f"{what}: the workers cannot be asked: {failure}", "see `dmp-gateway doctor`"))
        return ()
    if len(found) < expected:
        told = f"{what}: {len(found)} of {expected} workers answered"
        unknown.append((told, "the others hang, have other keys (`dmp-gateway keys status`), or are of an older version"))
    return found


def _lane(
    state: LaneState, workers: tuple[WorkerState, ...] | None, facts: QueueFacts | None, active: Mapping[str, str]
) -> LaneStatus:
    held = [(worker, each) for worker in workers or () for each in worker.holds if each.lane == state.lane]
    taking = sum(state.lane in worker.takes for worker in workers or ())
    if not state.consumers:  # nobody is given anything; what nobody took has no age that anybody tells
        unacknowledged: int | None = 0 if state.ready is not None else None
    elif workers is not None and state.consumers <= taking:
        unacknowledged = sum(each.count for _, each in held)
    else:
        unacknowledged = facts.messages_unacknowledged if facts is not None else None
    who = active.get(state.queue) or next((worker.name for worker, each in held if each.count), None) or _alone(state, workers)
    return LaneStatus(
        lane=state.lane,
        queue=state.queue,
        ready=state.ready,
        # By AMQP a lane with a single active consumer counts that one alone.
        consumers=max(state.consumers, taking, 0 if facts is None else facts.consumers) if state.consumers else state.consumers,
        unacknowledged=unacknowledged,
        oldest=min((each.oldest for _, each in held if each.oldest), default=None),
        active=who if state.consumers and state.lane != lanes.REQUESTS else None,
        published=None if facts is None else facts.message_stats.publish,
        settled=None if facts is None else facts.message_stats.ack,
        state=(facts.state or None) if facts is not None else None,
    )


def _alone(state: LaneState, workers: tuple[WorkerState, ...] | None) -> str | None:
    """Return who takes where only one does."""
    taking = [worker.name for worker in workers or () if state.lane in worker.takes]
    return taking[0] if state.consumers == len(taking) == 1 else None


def _active(management: Management, workers: Iterable[WorkerState]) -> dict[str, str]:
    """Return who takes from which queue: the worker where it answered, else its connection."""
    named = {each.name: each.user_provided_name for each in management.connections()}
    processes = {f"{worker.connection} ": worker.name for worker in workers}
    found = {}
    for each in management.consumers():
        if each.active:
            connection = named.get(each.connection) or each.connection
            found[each.queue.name] = next(
                (name for begin, name in processes.items() if connection.startswith(begin)), f"connection {connection}"
            )
    return found


def ask_workers(url: str, keys: Keys, expected: int, seconds: float = 3.0) -> tuple[WorkerState, ...]:
    """
    Ask every worker what it has in its hands.

    Args:
        url: The broker.
        keys: The keys of this machine, which must be those of the workers.
        expected: How many answers are waited for.
        seconds: How long at most.

    Returns:
        The answers that came in time, by number; fewer than expected where a worker hangs, is of an older version, or has other
        keys.

    Raises:
        BrokerUnusable: it cannot be reached, has an alarm, or refuses.
        KeysUnusable: the question cannot be sealed.
    """
    asked, queue = f"asked-{secrets.token_hex(8)}", f"{ANSWERS}{secrets.token_hex(8)}"
    sealed = seal(b"?", keys=keys, lane=ASKED, receipt=asked)
    found: list[WorkerState] = []
    if not expected:
        return ()
    with connected(url) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        properties = BasicProperties(message_id=asked, reply_to=queue)  # type: ignore[no-untyped-call]
        channel.basic_publish(EXCHANGE, WORKERS, sealed, properties)
        until = time.monotonic() + seconds
        for _, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=_LOOK_SECONDS):
            if body is not None:
                found += _opened(body, keys, asked)
            if len(found) >= expected or time.monotonic() > until:
                break
    return tuple(sorted(found, key=lambda each: (each.worker, each.host, each.pid)))


def _opened(body: bytes, keys: Keys, asked: str) -> list[WorkerState]:
    try:
        return [msgspec.json.decode(open_sealed(body, keys=keys, lane=ANSWERED, receipt=asked), type=WorkerState)]
    except (Unopened, msgspec.DecodeError):
        return []  # no worker of ours, or one of another version
