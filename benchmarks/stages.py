"""What happens inside the process: reading, wire, disk, store, each beside its floor."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from benchmarks import floor, inputs
from benchmarks.measure import Row, compare, row
from gateway.demo.process import run_verb
from gateway.mappers.cda.read import read as read_cda
from gateway.mappers.hl7v2.charset import decode
from gateway.mappers.hl7v2.header import read_header
from gateway.mappers.hl7v2.tokens import Message
from gateway.model.verdict import Verdict
from gateway.queue import wire
from gateway.queue.seal import open_sealed, seal
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.rooms import Rooms, opened

_BATCH: Final = 100
_PAGE_BYTES: Final = 4096
_LANE: Final = "deposits.0"


def reading(rounds: int) -> Iterator[Row]:
    """Measure the readers of every message and document."""
    known = inputs.directory()
    for one in inputs.inputs(known):
        payload, source = one.payload, inputs.source_of(one.payload, known)
        codec = decode(payload, read_header(payload)[0].charset, None, None).codec
        split = ("split walk", lambda payload=payload: floor.walk(payload))
        cases: list[tuple[str, Callable[[], object], tuple[str, Callable[[], object]]]] = [
            ("tokens", lambda payload=payload, codec=codec: Message.read(payload, codec), split),
            ("header and tokens", lambda payload=payload: read_header(payload), split),
            ("whole reading", lambda payload=payload, source=source: inputs.whole(payload, known, source), split),
        ]
        if one.documents:
            bare = ("split walk + base64 + lxml", lambda one=one: floor.walk_and_parse(one.payload, one.encoded))
            cases.append(("whole reading", cases[2][1], bare))
        for name, call, against in cases:
            yield compare("reading", f"{one.title}: {name}", call, against, rounds)
        for document in one.documents:
            against = ("lxml parse", lambda document=document: floor.parse(document))
            title = f"CDA of it, {len(document) / 1000:.1f} kB: header"
            yield compare("reading", title, lambda document=document: read_cda(document), against, rounds)


def wires(folder: Path, rounds: int) -> Iterator[Row]:
    """Measure the way of a deposit to the queue's file and back."""
    with prepared(folder / "wire") as rooms:
        message = inputs.reports(1)[0]
        (deposit,) = inputs.deposits([message], inputs.directory(), rooms.receipts)
        receipt, keys = deposit.reception.receipt, rooms.keys
        encoded = wire.encode(deposit)
        sealed = seal(encoded, keys=keys, lane=_LANE, receipt=receipt)
        split = ("split walk", lambda: floor.walk(message))
        steps: tuple[tuple[str, Callable[[], object]], ...] = (
            (f"encode, {len(message) / 1000:.1f} kB to {len(encoded) / 1000:.1f} kB", lambda: wire.encode(deposit)),
            ("seal", lambda: seal(encoded, keys=keys, lane=_LANE, receipt=receipt)),
            ("open", lambda: open_sealed(sealed, keys=keys, lane=_LANE, receipt=receipt)),
            ("decode", lambda: wire.decode(encoded)),
        )
        for name, call in steps:
            yield compare("wire", name, call, split, rounds)


def disk(folder: Path, rounds: int) -> Iterator[Row]:
    """Measure a commit of one row beside a write of a page with its fsync, on the disk that `folder` is on."""
    connection = sqlite3.connect(folder / "commit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, value TEXT)")
    file = os.open(folder / "page", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    page = bytes(_PAGE_BYTES)

    def synced() -> None:
        os.write(file, page)
        os.fsync(file)

    try:
        insert = "INSERT INTO one (value) VALUES ('x')"
        commit = ("SQLite commit, WAL, FULL", lambda: connection.execute(insert))
        yield compare("disk", *commit, ("page + fsync", synced), rounds, clock=time.perf_counter)
    finally:
        os.close(file)
        connection.close()


def storing(folder: Path, rounds: int) -> Iterator[Row]:
    """Measure `store.apply` beside a plain insert of the same rows, one by one and in batches of a hundred."""
    known = inputs.directory()
    with prepared(folder / "store") as rooms:
        rows = captured(folder, rooms)
        bare = floor.empty_store(folder / "floor.db")
        given = 0
        for name, size, times in (("one by one", 1, 20), ("batches of 100", _BATCH, 1)):
            pairs = []
            for _ in range(rounds):
                numbers = range(given + 1, given + 1 + size * times)
                given += len(numbers)
                batch = inputs.deposits(inputs.reports(len(numbers), numbers.start), known, rooms.receipts)
                begun = time.perf_counter()
                for start in range(0, len(batch), size):
                    outcomes = rooms.store.apply(batch[start : start + size])
                middle = time.perf_counter()
                for start in range(0, len(numbers), size):
                    rows.insert(bare, numbers[start : start + size])
                ended = time.perf_counter()
                if any(outcome.verdict is not Verdict.STORED for outcome in outcomes):
                    raise RuntimeError("a deposit was not stored")
                pairs.append(((middle - begun) / len(numbers), (ended - middle) / len(numbers)))
            yield row("store", f"apply a deposit, {name}", "insert of the same rows", pairs)
        bare.close()


def captured(folder: Path, rooms: Rooms) -> floor.Rows:
    """Store one deposit in a store of its own, and return the rows that it left."""
    (deposit,) = inputs.deposits(inputs.reports(1), inputs.directory(), rooms.receipts)
    data = Path(tempfile.mkdtemp(dir=folder))
    with prepared(data) as template:
        (outcome,) = template.store.apply([deposit])
    if outcome.verdict is not Verdict.STORED:
        raise RuntimeError(f"the template was {outcome.verdict.value}, not stored")
    return floor.Rows.left(data / "store.db")


def prepared(data: Path) -> AbstractContextManager[Rooms]:
    """Make a data directory with the patient's open record, and open its rooms."""
    code, _ = run_verb("record", "open", "--ins", inputs.PATIENT, "--collected-by", "bench", "--data", str(data))
    if code:
        raise RuntimeError("the record could not be opened")
    return opened(DataDirectory(data), SystemClock(), lambda _: None)
