"""What waits to be decided, for the operator's lists: ids and times (the rest is sealed)."""

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.model.ports import FileUnusable
from gateway.queue.embedded.listing import waiting
from gateway.queue.receipt import issued_at
from gateway.store.answers import Acknowledged
from gateway.store.reader import Reader
from gateway.store.views import DepositLine
from gateway.wiring.answers import Journal
from gateway.wiring.data import DataDirectory

#: What can be told of a sealed deposit: of one in a file, and of one that this machine's journal knows.
TOLD_IN_FILE: Final = frozenset({"source", "since", "until"})
TOLD_IN_JOURNAL: Final = TOLD_IN_FILE | {"establishment", "message"}
#: As many receipts are looked up at once.
_AT_ONCE: Final = 1000
#: A receipt is issued before its answer is noted; a clock may have been set back meanwhile.
_BEFORE: Final = timedelta(hours=1)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


def waiting_deposits(directory: DataDirectory, filters: dict[str, str]) -> list[DepositLine]:
    """
    Return the deposits that wait in the embedded file, newest first.

    Args:
        directory: The data directory.
        filters: As for the store's list; only `TOLD_IN_FILE` can be told of a sealed deposit, any other filter matches none.

    Raises:
        FileUnusable: the queue's file cannot be read.
    """
    if set(filters) - TOLD_IN_FILE or not directory.queue.exists():
        return []
    return [
        _queued(line.receipt, line.received_at, line.source)
        for line in waiting(directory.queue)
        if filters.get("source", line.source) == line.source
        and filters.get("since", "") <= line.received_at
        and (line.received_at < filters["until"] if "until" in filters else True)
    ]


def undecided_deposits(directory: DataDirectory, reader: Reader, filters: dict[str, str]) -> list[DepositLine]:
    """
    Return what this machine's doors acknowledged and the store has not decided, newest first: what waits in a broker, or is lost.

    Args:
        directory: The data directory: its journal of answers is read.
        reader: The store.
        filters: As for the store's list; any other than `TOLD_IN_JOURNAL` matches none.

    Raises:
        FileUnusable: the journal cannot be read.
    """
    if set(filters) - TOLD_IN_JOURNAL:
        return []
    wanted = (line for line in _deposits(directory, _instant(filters.get("since"))) if _fits(line, filters))
    found = [
        _queued(line.receipt, line.received_at, line.source, line.establishment, line.message_id)
        for line in undecided(reader, wanted)
    ]
    return sorted(found, key=lambda line: (line.received_at, line.id), reverse=True)


def undecided_deposit(directory: DataDirectory, receipt: str) -> DepositLine | None:
    """
    Return what this machine's journal knows of a deposit that was acknowledged; whether it is decided is the store's to tell.

    Raises:
        FileUnusable: the journal cannot be read.
    """
    issued = issued_at(receipt)
    since = _EARLIEST if issued is None or issued < _EARLIEST + _BEFORE else issued - _BEFORE
    found = next((line for line in _deposits(directory, since) if line.receipt == receipt), None)
    if found is None:
        return None
    return _queued(found.receipt, found.received_at, found.source, found.establishment, found.message_id)


def undecided(reader: Reader, lines: Iterable[Acknowledged]) -> Iterator[Acknowledged]:
    """Yield those whose receipt the store has not, many asked for at once."""
    coming = iter(lines)
    while chunk := list(itertools.islice(coming, _AT_ONCE)):
        known = reader.known_receipts([line.receipt for line in chunk])
        yield from (line for line in chunk if line.receipt not in known)


def _deposits(directory: DataDirectory, since: datetime) -> Iterator[Acknowledged]:
    try:
        yield from (line for line in Journal(directory.answers).lines(since) if line.kind == "deposit")
    except OSError as failure:
        raise FileUnusable(directory.answers, failure.strerror or type(failure).__name__) from failure


def _fits(line: Acknowledged, filters: dict[str, str]) -> bool:
    return (
        filters.get("source", line.source) == line.source
        and filters.get("establishment", line.establishment) == line.establishment
        and filters.get("message", line.message_id) == line.message_id
        and filters.get("since", "") <= line.received_at
        and ("until" not in filters or line.received_at < filters["until"])
    )


def _instant(since: str | None) -> datetime:
    """Return the instant from which the journal is read: what is no instant is compared as text with the lines alone."""
    try:
        read = datetime.fromisoformat(since) if since else _EARLIEST
        return (read if read.tzinfo else read.replace(tzinfo=UTC)) - (_BEFORE if since else timedelta())
    except (ValueError, OverflowError):
        return _EARLIEST


def _queued(receipt: str, received_at: str, source: str, establishment: str = "", message_id: str = "") -> DepositLine:
    return DepositLine(
        id=receipt,
        received_at=received_at,
        door="",
        source=source,
        establishment=establishment,
        message_id=message_id,
        document_ids=(),
        act=None,
        state="queued",
        verdict=None,
        codes=(),
        patient=None,
    )
