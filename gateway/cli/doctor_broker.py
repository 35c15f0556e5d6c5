"""What `doctor` says of the broker that AMQP_URL names."""

from collections.abc import Iterator
from typing import Final

from gateway.cli.ages import age, seconds_since
from gateway.cli.doctor_management import management
from gateway.cli.findings import Finding
from gateway.cli.waiting_words import held_words
from gateway.queue.rabbitmq.bindings import unbound
from gateway.queue.rabbitmq.setup import WAY, BrokerUnusable, Line, Step, setup
from gateway.queue.rabbitmq.status import DEAD_LANE, BrokerStatus
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.lanes import lanes_status

#: What waits for so long waits for something that does not come by itself.
_LONG_SECONDS: Final = 3600.0
#: More parts than this are counted, not named.
_NAMED: Final = 8


def broker(url: str, sealed_limit_bytes: int, directory: DataDirectory, place: str) -> Iterator[Finding]:
    """
    Yield how a broker is, changing nothing.

    Reached, of a version without known faults, with all its lanes, without an alarm; nothing given up, each lane taken; what the
    management plug-in tells of nodes, copies and policies.

    Args:
        url: The broker.
        sealed_limit_bytes: The largest message that a door sends.
        directory: Whose keys the workers are asked with.
        place: Of the management plug-in; see `gateway.queue.rabbitmq.management.Management`.
    """
    try:
        lines = setup(url, sealed_limit_bytes, change=False)
        # Where the plug-in is not there, the note about it says so.
        lines += tuple(line for line in unbound(url, place, lines) if line.step is Step.MISSING)
        found = lanes_status(url, directory, place)
    except BrokerUnusable as unusable:
        advice = f"{WAY}; every door answers AR until it is reached again"
        yield Finding(subject="broker", state="problem", text=str(unusable), advice=advice)
        return
    yield from _layout(lines)
    if found.given_up:
        yield Finding(
            subject="broker",
            state="problem",
            text=f"{found.given_up} messages were given up",
            advice="find out who writes to these lanes (docs/broker.md)",
        )
    yield from _lanes(found)
    yield from _workers(found)
    yield from management(url, place)


def _layout(lines: tuple[Line, ...]) -> Iterator[Finding]:
    wrong = [line for line in lines if line.step in {Step.REFUSED, Step.MISSING}]
    if not wrong:
        parts = sum(line.step is Step.FOUND for line in lines) - 1
        which = lines[0].what.removeprefix("broker ")
        yield Finding(subject="broker", state="ok", text=f"{which}, all {parts} parts of the layout")
    for line in wrong:
        if line.step is Step.REFUSED:
            yield Finding(subject="broker", state="problem", text=line.what, advice=line.advice)
    missing = [line.what for line in wrong if line.step is Step.MISSING]
    if missing:
        yield Finding(
            subject="broker",
            state="problem",
            text=f"{len(missing)} of its parts {'is' if len(missing) == 1 else 'are'} missing"
            + (f": {', '.join(missing)}" if len(missing) <= _NAMED else ", `dmp-gateway queue setup --check` names them"),
            advice="`dmp-gateway queue setup` makes them",
        )
    for line in lines:
        if line.step is Step.WARNING:
            yield Finding(subject="broker", state="note", text=line.what, advice=line.advice)


def _lanes(found: BrokerStatus) -> Iterator[Finding]:
    if all(each.ready is None for each in found.lanes):
        return  # said by what looks at the layout
    idle = [each.lane for each in found.lanes if each.consumers == 0 and each.lane != DEAD_LANE]
    if idle:
        ready, _ = found.deposits()
        yield Finding(
            subject="lanes",
            # Before the first start nobody takes, and nothing waits.
            state="problem" if ready or len(idle) < len(found.lanes) - 1 else "note",
            text=f"nobody takes from {'any lane' if len(idle) == len(found.lanes) - 1 else ', '.join(idle)}: {held_words(found)}",
            advice="start a worker: `dmp-gateway serve`, or `dmp-gateway worker`",
        )
        return
    oldest = found.oldest()
    waited = 0.0 if oldest is None else seconds_since(oldest, SystemClock().now())
    late = waited >= _LONG_SECONDS
    yield Finding(
        subject="lanes",
        state="problem" if late else "ok",
        text=held_words(found) + (f", the oldest for {age(waited)}" if oldest is not None else ""),
        advice="`dmp-gateway queue status` tells which lane, its worker's log why" if late else "",
    )


def _workers(found: BrokerStatus) -> Iterator[Finding]:
    for worker in found.workers:
        if worker.problem:
            yield Finding(subject="worker", state="problem", text=f"{worker.name}: {worker.problem}", advice="its log tells more")
    if found.workers and len(found.workers) == found.connected:
        yield Finding(subject="workers", state="ok", text=f"{found.connected} take, all answered")
    for what, advice in found.unknown:
        if "plug-in" not in what:  # said by what looks at it
            yield Finding(subject="workers", state="note", text=what, advice=advice)
