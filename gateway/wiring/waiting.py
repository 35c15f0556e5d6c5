"""What waits in the queue, for the operator's lists: ids and times (the rest is sealed)."""

from gateway.queue.embedded.listing import waiting
from gateway.store.views import DepositLine
from gateway.wiring.data import DataDirectory


def waiting_deposits(directory: DataDirectory, filters: dict[str, str]) -> list[DepositLine]:
    """
    Return the deposits that wait, newest first.

    Args:
        directory: The data directory.
        filters: As for the store's list; only `source`, `since` and `until` can be told of a sealed deposit, any other filter
            matches none.

    Raises:
        FileUnusable: the queue's file cannot be read.
    """
    if set(filters) - {"source", "since", "until"} or not directory.queue.exists():
        return []
    return [
        DepositLine(
            id=line.receipt,
            received_at=line.received_at,
            door="",
            source=line.source,
            establishment="",
            message_id="",
            document_ids=(),
            act=None,
            state="queued",
            verdict=None,
            codes=(),
            patient=None,
        )
        for line in waiting(directory.queue)
        if filters.get("source", line.source) == line.source
        and filters.get("since", "") <= line.received_at
        and (line.received_at < filters["until"] if "until" in filters else True)
    ]
