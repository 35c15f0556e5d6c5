"""F3 on each store: rounds of a frozen writer, told as what was found wrong."""

import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from gateway.model.event import Position
from gateway.store.postgres.store import PostgresStore
from tests.contract.store.backends import Postgres, Sqlite
from tests.harness.cast import Cast
from tests.harness.frozen import IDLE_MS, Order, Real, Writer, batch, told, walk
from tests.strategies import records
from tests.strategies.records import START, adt, opening, stated

#: What the other one does while the writer is frozen.
MEANWHILE: Final = ("the batch", "an opposition", "an opposition, the batch", "the batch, an opposition")
#: What the sender of an event is told whose transaction was taken away.
UNAVAILABLE: Final = "STORE_UNAVAILABLE"
#: Locks of a frozen writer are free after its time-out, and a little.
FREED_SECONDS: Final = IDLE_MS / 1000 + 3.0


@dataclass
class Revived:
    """What was done and found."""

    frozen: int = 0
    deposits: int = 0
    #: How often the server took away what a frozen writer held.
    freed: int = 0
    slowest: float = 0.0
    violations: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the line of a report."""
        return (
            f"{self.frozen} freezes, {self.deposits} deposits, the other one waited {self.slowest:.1f} s at most,"
            f" {len(self.violations)} violations"
        )


class Revival:
    """
    Two gateways on one PostgreSQL database: one in this process, one that is frozen and woken.

    Args:
        folder: Not used but by the test's bench.
    """

    def __init__(self, folder: Path) -> None:
        self.found = Revived()
        self._bench = Postgres(folder, lasting=True)
        self._store = PostgresStore(self._bench.url, Real())
        self._writer = Writer(self._bench.url)
        self._number = 0
        one, other = self._cast(), self._cast()
        #: Where a batch, and an opposition, may be frozen.
        self.walks = {
            "batch": walk(lambda: self._store.apply(batch(one))),
            "opposition": walk(lambda: self._oppose(other)),
        }

    def close(self) -> None:
        """Ask the DPO's query, end the writer, close the stores."""
        try:
            self.found.violations += [f"stored against an opposition: {each}" for each in self._bench.against()]
        finally:
            self._writer.end()
            self._store.close()
            self._bench.close()

    def freeze(self, what: str, point: str, nth: int, meanwhile: str) -> None:
        """Freeze the writer at a point, let the other one work, wake it, and hold what both say against what is there."""
        name = f"{what} frozen at {point}:{nth}, meanwhile {meanwhile}"
        cast = self._cast()
        self._writer.order(Order(cast.number, what, point, nth))
        self._writer.wait_frozen()
        self.found.frozen += 1
        begun = time.monotonic()
        heard: dict[str, Any] = {}
        for act in meanwhile.split(", "):
            if act == "the batch":
                heard["batch"] = told(self._store.apply(batch(cast)))
            else:
                heard["opposition"] = self._oppose(cast)
        waited = time.monotonic() - begun
        self.found.slowest = max(self.found.slowest, waited)
        if waited > FREED_SECONDS:
            self._wrong(f"{name}: the locks were held for {waited:.1f} s")
        self._writer.wake()
        woken = self._writer.answer()["told"]
        if woken == UNAVAILABLE:
            # AR: its sender sends it again, and may.
            woken = self._oppose(cast)
        if what in heard and woken != heard[what]:
            self._wrong(f"{name}: woken it says {woken}, the other one said {heard[what]}")
        self._judge(name, cast, what, woken, heard)

    def _judge(self, name: str, cast: Cast, what: str, woken: Any, heard: dict[str, Any]) -> None:
        batches = heard.get("batch") or (woken if what == "batch" else None)
        again = told(self._store.apply(batch(cast)))
        self.found.deposits += len(again)
        if batches is not None and again != batches:
            self._wrong(f"{name}: sent again {again}, before {batches}")
        documents = self._bench.rows("document", source="ris-h1")
        mine = [row for row in documents if row["receipt"].startswith(cast.prefix)]
        stored = [each[0] for each in again if each[1] == "stored"]
        if sorted(row["receipt"] for row in mine) != sorted(stored):
            self._wrong(f"{name}: documents {[row['receipt'] for row in mine]}, outcomes {stored}")
        said = heard.get("opposition") or (woken if what == "opposition" else None)
        if said is not None:
            # Nothing of the one who opposed was committed after the answer; that of the other one is untouched.
            late = [row for row in mine if row["receipt"][-1] != "1" and row["committed_at"] > said[0][3]]
            if late:
                self._wrong(f"{name}: committed after the opposition: {[row['receipt'] for row in late]}")
            if len(self._bench.rows("statement", receipt=f"{cast.prefix}io")) != 1:
                self._wrong(f"{name}: the opposition is not there once")

    def _wrong(self, text: str) -> None:
        self.found.violations.append(text)

    def _cast(self) -> Cast:
        self._number += 1
        cast = Cast(self._number)
        for who in (0, 1):
            self._submit(f"{cast.prefix}open{who}", opening(cast.ins(who)))
        return cast

    def _oppose(self, cast: Cast) -> Any:
        return self._submit(f"{cast.prefix}io", adt(stated(Position.OPPOSES, at=None), patient=(cast.ins(),)))

    def _submit(self, receipt: str, event: Any) -> Any:
        taken = records.reception(receipt, START, message_type="ADT^A01")
        return told([self._store.submit(taken, event, Real().now() + timedelta(hours=1))])


def revivals(folder: Path, seed: int, *, most: int, until: float) -> Revived:
    """Freeze a writer at points drawn from a seed, or, with `most` at its highest, at each of them."""
    chance = random.Random(seed)
    made = Revival(folder)
    try:
        places = [(what, *place) for what, walked in made.walks.items() for place in walked]
        chance.shuffle(places)
        while made.found.frozen < most and time.monotonic() < until:
            if not places:
                break
            what, point, nth = places.pop()
            made.freeze(what, point, nth, chance.choice(MEANWHILE))
    finally:
        made.close()
    return made.found


def embedded(folder: Path, point: str, nth: int = 1, *, what: str = "late") -> tuple[dict[str, Any], Sqlite]:
    """
    Freeze an embedded gateway's process at a point until the deadline of a waiting event has passed; wake it.

    Returns:
        What the process was told, and a bench on what it left.
    """
    bench = Sqlite(folder)
    cast = Cast(1)
    for who in (0, 1):
        bench.open(cast.ins(who))
    bench.store.close()
    writer = Writer(str(bench.path))
    try:
        writer.order(Order(1, what, point, nth, deadline_ms=150))
        writer.wait_frozen()
        time.sleep(0.3)
        writer.wake()
        heard = writer.answer()
    finally:
        writer.end()
    bench.store = bench._start()
    return heard, bench
