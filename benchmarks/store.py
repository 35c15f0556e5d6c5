"""
`make bench-store`: the record store as it grows, beside the bare COPY of the same rows, and what an opposition waits for.

Two stores of each kind, one small and one large, take the same documents in turns, so that a noisy machine is noisy for both.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import psycopg

# Run by its path: the repository is not where Python looks by itself.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.growth import Grown, GrownPostgres, GrownSqlite
from gateway.model.document import Entry
from gateway.model.event import Position
from gateway.model.submission import Deposit
from gateway.model.verdict import Verdict
from tests.harness import postgres
from tests.strategies import records

#: Entries read out of each document.
_ENTRIES: Final = 10
_BATCH: Final = 100
_LATER: Final = datetime.max.replace(tzinfo=UTC)
#: Some 1.5 kB that zstd does not make vanish.
_TEXT: Final = random.Random(1).randbytes(560).hex().encode()


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a rate beside another one of the same run."""

    backend: str
    #: Documents that were stored already.
    stored: int
    what: str
    per_second: float
    #: Of the floor of the same store, medians of the rounds' ratios; None where there is none.
    of_floor: float | None
    #: Of the small store's rate.
    of_small: float


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long an opposition waited for its answer, in milliseconds."""

    backend: str
    stored: int
    what: str
    p50: float
    p99: float
    longest: float
    oppositions: int


def deposits(grown: Grown, count: int) -> list[Deposit]:
    """Documents with ten entries each, for patients of the store at random."""
    made = []
    for _ in range(count):
        number = next(grown.numbers)
        entries = tuple(
            Entry(kind="laboratory-result", content=json.dumps({"code": f"{n}", "value": f"{number}.{n}", "text": "x" * 160}))
            for n in range(_ENTRIES)
        )
        patient = grown.chance.choice(grown.active)
        made.append(
            records.deposit(
                f"bench-{number}",
                datetime.now(UTC),
                patient=(patient, records.local(records.H1, f"ipp-{patient.value}")),
                documents=((f"1.2.250.9.{number}", b"<ClinicalDocument>%d %b</ClinicalDocument>" % (number, _TEXT)),),
                set_id=f"s{number}",
                version=1,
                entries=entries,
            )
        )
    return made


def rounds(grown: Grown, size: int, times: int) -> tuple[float, float]:
    """Return (seconds of a document, seconds of the bare rows of a document) of one round; 0 where there is no floor."""
    batches = [deposits(grown, size) for _ in range(times)]
    grown.captured.clear()
    begun = time.perf_counter()
    outcomes = [outcome for batch in batches for outcome in grown.store.apply(batch)]
    middle = time.perf_counter()
    if any(outcome.verdict is not Verdict.STORED for outcome in outcomes):
        raise RuntimeError("a document was not stored")
    floor = grown.bare()
    return (middle - begun) / (size * times), floor / (size * times)


def growing(stores: Sequence[Grown], count: int) -> Iterator[Figure]:
    """Measure small and large in turns, one by one and in batches."""
    for what, size, times in (("one by one", 1, 50), (f"batches of {_BATCH}", _BATCH, 2)):
        for grown in stores:
            rounds(grown, size, times)
        pairs: dict[int, list[tuple[float, float]]] = {id(grown): [] for grown in stores}
        for _ in range(count):
            for grown in stores:
                pairs[id(grown)].append(rounds(grown, size, times))
        small = [mine for mine, _ in pairs[id(stores[0])]]
        for grown in stores:
            mine = pairs[id(grown)]
            yield Figure(
                backend=grown.backend,
                stored=grown.size,
                what=what,
                per_second=1 / statistics.median(seconds for seconds, _ in mine),
                of_floor=statistics.median(bare / seconds for seconds, bare in mine) if mine[0][1] else None,
                of_small=statistics.median(first / seconds for first, (seconds, _) in zip(small, mine, strict=True)),
            )


def opposing(grown: Grown, seconds: float) -> Iterator[Latency]:
    """Measure what an opposition waits for, alone and while batches of the same patients run."""
    for what, busy in (("alone", 0), ("while batches run", 1 if grown.backend == "sqlite" else 2)):
        stop = threading.Event()
        waits: list[float] = []

        def batches(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                grown.store.apply(deposits(grown, _BATCH))

        with ThreadPoolExecutor(busy + 1) as pool:
            running = [pool.submit(batches) for _ in range(busy)]
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                patient = grown.chance.choice(grown.opposing)
                # Each position in its turn: the record goes on taking documents.
                for position in (Position.OPPOSES, Position.ALLOWS):
                    event = records.adt(records.stated(position, None, at=None), patient=(patient,))
                    taken = records.reception(f"bench-{next(grown.numbers)}", datetime.now(UTC), message_type="ADT^A31")
                    begun = time.perf_counter()
                    grown.store.submit(taken, event, _LATER)
                    waits.append((time.perf_counter() - begun) * 1000)
                time.sleep(0.01)
            stop.set()
            for each in running:
                each.result()
        waits.sort()
        yield Latency(
            backend=grown.backend,
            stored=grown.size,
            what=what,
            p50=waits[len(waits) // 2],
            p99=waits[int(len(waits) * 0.99)],
            longest=waits[-1],
            oppositions=len(waits),
        )


def line(found: Figure | Latency) -> str:
    """Return a line of the tables."""
    name = f"{found.backend}, {found.stored:,} stored, {found.what}"
    if isinstance(found, Latency):
        waits = f"p50 {found.p50:.1f} ms, p99 {found.p99:.1f} ms, longest {found.longest:.1f} ms"
        return f"opposition: {name:48} {waits} ({found.oppositions} of them)"
    floor = "" if found.of_floor is None else f"   {found.of_floor:.0%} of the bare COPY"
    return f"{name:60} {found.per_second:8.0f} documents/s{floor}   {found.of_small:.0%} of the small store's"


def figures(stores: Sequence[Grown], count: int, seconds: float) -> Iterator[Figure | Latency]:
    """Everything that is measured of the stores of one kind."""
    yield from growing(stores, count)
    for grown in stores:
        yield from opposing(grown, seconds)


def main() -> None:
    """Measure, and print as results come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=10_000, help="documents in the small store")
    parser.add_argument("--large", type=int, default=1_000_000, help="documents in the large store")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long oppositions are sent")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; default: the system's temporary folder")
    parser.add_argument("--json", action="store_true", help="one object per line")
    asked = parser.parse_args()
    if not asked.json:
        print(f"{_ENTRIES} entries a document. Absolute figures drift with the machine: compare ratios, of one run.")
    for backend in ("postgres", "sqlite"):
        if asked.only not in {None, backend}:
            continue
        with ExitStack() as stack:
            stores: list[Grown] = []
            for size in (asked.small, asked.large):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dmp-gateway-bench-", dir=asked.folder)))
                grown = GrownPostgres(server()) if backend == "postgres" else GrownSqlite(folder)
                stack.callback(grown.close)
                grown.fill(size, deposits)
                stores.append(grown)
            for found in figures(stores, asked.rounds, asked.seconds):
                print(msgspec.json.encode(found).decode() if asked.json else line(found), flush=True)


def server() -> postgres.Server:
    """Return a server of our own, kept as an operator would keep it: statistics and vacuum by themselves."""
    made = postgres.shared()
    with psycopg.connect(made.admin, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET autovacuum = on")
        connection.execute("SELECT pg_reload_conf()")
    return made


if __name__ == "__main__":
    main()
