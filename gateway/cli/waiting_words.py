"""What a verb says of deposits that wait in a broker, sealed: how many are where, and what this machine's journal adds."""

from collections.abc import Iterator

from gateway.model.ports import FileUnusable
from gateway.queue import lanes
from gateway.queue.rabbitmq.status import BrokerStatus
from gateway.store.port import StoreUnusable
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import open_reader
from gateway.wiring.waiting import undecided_deposits


def held_words(found: BrokerStatus) -> str:
    """Return how many deposits the broker holds, and in which lanes: `3 ready and 2 handed out (deposits.4 3+0, large 0+2)`."""
    ready, handed_out = found.deposits()
    told = "an unknown number" if handed_out is None else str(handed_out)
    where = [
        f"{each.lane} {each.ready}+{'?' if each.unacknowledged is None else each.unacknowledged}"
        for each in found.lanes
        if each.lane in lanes.CARRYING and (each.ready or each.unacknowledged)
    ]
    return f"{ready} ready and {told} handed out" + (f" ({', '.join(where)})" if where else "")


def undecided_words(directory: DataDirectory) -> Iterator[str]:
    """Yield what the journal of this machine's doors says of what waits, where broker and workers tell no age."""
    try:
        with open_reader(directory) as reader:
            found = undecided_deposits(directory, reader, {})
    except (StoreUnusable, FileUnusable):
        return
    if found:
        yield (
            f"This machine's doors acknowledged {len(found)} deposits that are not decided; the oldest was received at "
            f"{found[-1].received_at} (`dmp-gateway deposits list --state queued`)."
        )
