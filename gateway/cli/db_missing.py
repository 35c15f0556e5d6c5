"""`dmp-gateway db missing`: what was acknowledged and is not in the record store, as after a restore."""

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from gateway.cli import console
from gateway.cli.data_option import data_option, json_option
from gateway.cli.missing_lanes import Lanes
from gateway.cli.reading import reading
from gateway.model.base import Model
from gateway.model.ports import FileUnusable
from gateway.store.answers import Acknowledged
from gateway.store.checks import RECEIPTS_KEPT
from gateway.store.reader import Reader
from gateway.wiring.answers import Journal
from gateway.wiring.broker import amqp_url
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.waiting import waiting_deposits

#: As many receipts are looked up at once.
_AT_ONCE: Final = 1000


class MissingLine(Model, frozen=True, kw_only=True):
    """A line of `db missing`: a message that was acknowledged and is not there."""

    #: `opposition`, `lifting`, `event` or `deposit`.
    what: str
    source: str
    #: MSH-10; the receipt for a command of the operator.
    message_id: str
    #: When it was acknowledged, ISO 8601 UTC.
    acknowledged_at: str
    received_at: str
    receipt: str
    #: It may wait in a lane of the broker: asked again once the lanes are empty. An event never does.
    may_wait: bool


@click.command(short_help="List what was acknowledged and is not in the store.")
@click.option(
    "--since",
    metavar="ISO",
    help="Acknowledged at or after, for example 2026-03-10T08:00 (UTC): the backup's time. Default: the whole journal.",
)
@data_option
@json_option
def missing(*, since: str | None, data: Path, as_json: bool) -> None:
    """
    List what was acknowledged and is not in the store: after a restore, what its senders must send again, oppositions first.

    The gateway keeps a journal of its positive answers in DATA/answers, outside the store. A message that waits in the queue, or
    that came again, is not missing. What waits in a broker is sealed: while its lanes hold deposits, those in this list may be
    among them, and are marked so; drain the lanes, then run it again. Where several gateways share a database, run it on each of
    their data directories.

    \b
    Exit status: 0 nothing is missing, 1 something is, or it cannot be told.
    """  # noqa: D301 - click reads this mark
    directory = DataDirectory(data)
    now = SystemClock().now()
    begin = max(_instant(since), now - RECEIPTS_KEPT)
    journal = Journal(directory.answers)
    if not journal.days:
        console.fail(
            f"There is no journal of answers in {directory.path}.",
            "Give the data directory of the gateway that answered; without it ask every source what it sent since the backup.",
        )
    try:
        waits = {line.id for line in waiting_deposits(directory, {})}
        with reading(directory) as reader:
            found = list(_missing(reader, journal.lines(begin), waits))
            lanes = _lanes(directory) if any(line.kind == "deposit" for line in found) else Lanes()
            # What was decided while the lanes were looked at is in none of them, and in the store by now.
            found = list(_missing(reader, found, waits)) if lanes.asked else found
    except (OSError, FileUnusable) as failure:
        console.fail(f"The journal or the queue cannot be read: {failure}.", "Run it as the gateway's user.")
    found.sort(key=lambda line: (line.weight, line.at))
    if journal.unreadable:
        console.err.print(f"{journal.unreadable} lines of the journal were cut off: a process or the disk ended inside them.")
    if journal.days[0] > begin.date() and since:
        console.err.print(f"The journal begins on {journal.days[0]}: what was acknowledged before is not in it.")
    _print(found, lanes, as_json=as_json)
    if found:
        raise SystemExit(1)


def _lanes(directory: DataDirectory) -> Lanes:
    """Look whether the lanes of the broker are empty, where there is one."""
    broker = amqp_url()
    if broker is None:
        return Lanes()
    from gateway.cli.missing_lanes_broker import look  # a broker's library is loaded where there is one

    return look(broker, directory)


def _missing(reader: Reader, lines: Iterable[Acknowledged], waits: set[str]) -> Iterator[Acknowledged]:
    coming = iter(lines)
    while chunk := list(itertools.islice(coming, _AT_ONCE)):
        known = reader.known_receipts([line.receipt for line in chunk]) | waits
        absent = [line for line in chunk if line.receipt not in known]
        if absent:
            again = reader.came_again(absent)
            yield from (line for line in absent if line.receipt not in again)


def _print(found: list[Acknowledged], lanes: Lanes, *, as_json: bool) -> None:
    lines = [
        MissingLine(
            what=line.stated or line.kind,
            source=line.source,
            message_id=line.message_id,
            acknowledged_at=line.at,
            received_at=line.received_at,
            receipt=line.receipt,
            may_wait=line.kind == "deposit" and not lanes.empty,
        )
        for line in found
    ]
    if as_json:
        for line in lines:
            console.json_line(line)
    elif not lines:
        console.out.print("Nothing is missing: whatever was acknowledged is in the store or waits in the queue.")
    else:
        told = {False: "missing", True: "may wait"}
        console.table(
            ("", "what", "source", "MSH-10", "acknowledged at", "receipt"),
            [
                (told[line.may_wait], line.what, line.source, line.message_id, line.acknowledged_at, line.receipt)
                for line in lines
            ],
        )
    for words in _advice(lines, lanes):
        console.err.print(words)


def _advice(lines: list[MissingLine], lanes: Lanes) -> Iterator[str]:
    """Yield what to do about what was found."""
    may_wait = sum(line.may_wait for line in lines)
    if may_wait < len(lines):
        yield "Ask these sources to send what is missing again, oppositions before anything else; then run this again."
    if not may_wait:
        return
    yield lanes.words
    if lanes.at_most is not None and may_wait > lanes.at_most:
        yield f"At least {may_wait - lanes.at_most} of these {may_wait} deposits are lost: the broker holds fewer."
    yield f"Whether what is marked ({may_wait}) is lost cannot be told yet: {lanes.to_do}"


def _instant(since: str | None) -> datetime:
    if since is None:
        return datetime.min.replace(tzinfo=UTC)
    try:
        read = datetime.fromisoformat(since)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = "--since: write an instant in ISO 8601, for example 2026-03-10T08:00"
        raise click.UsageError(message) from None
