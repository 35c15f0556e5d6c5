"""Messages that are poison to a worker: of types that nothing else sends, each with what it does (F16)."""

import itertools
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from tests.harness.traffic import RIS_V, VALMONT, Patient, Step, Traffic, deposits, document, travelling, with_

#: What each does, and its type of document.
TYPES: Final = {
    "abort": ("34112-3", "CR hospitalier (séjour)"),
    "raise": ("34133-9", "Synthèse d'épisode de soins"),
    "block": ("15508-5", "CR d'accouchement"),
    "constraint": ("11488-4", "CR ou fiche de consultation ou de visite"),
}


def ordered(block_seconds: float) -> dict[str, str]:
    """Return the variable that makes a gateway fall for the first three."""
    orders = {"abort": "abort", "raise": "raise", "block": f"block:{block_seconds:g}"}
    return {"DMP_GATEWAY_POISON": ",".join(f"{TYPES[name][0]}={order}" for name, order in orders.items())}


def constrain(data: Path, database: str | None) -> None:
    """Have the record refuse the fourth: a check of the server's, a trigger of the file's."""
    type_ = TYPES["constraint"][0]
    if database is not None:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"ALTER TABLE document ADD CONSTRAINT proof_poison CHECK (strpos(entry, '{type_}') = 0)".encode())
        return
    with closing(sqlite3.connect(data / "store.db")) as file:
        file.execute(
            "CREATE TRIGGER proof_poison BEFORE INSERT ON document WHEN instr(new.entry, "
            f"'{type_}') BEGIN SELECT RAISE(ABORT, 'proof_poison'); END"
        )
        file.commit()


def relax(database: str) -> None:
    """Take the check away: a database that was lent goes back as it came."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(b"ALTER TABLE document DROP CONSTRAINT IF EXISTS proof_poison")


class PoisonedTraffic:
    """
    A traffic with an end, and poison in it.

    Args:
        traffic: The rest.
        strands: How many strands in all.
        poison: Kinds of poison, spread over them in this order.
    """

    def __init__(self, traffic: Traffic, strands: int, poison: list[str]) -> None:
        self._traffic = traffic
        self._count = itertools.count()
        self._strands = strands
        gap = strands // (len(poison) + 1)
        self._poison = {gap * n: kind for n, kind in enumerate(poison, start=1)}
        self._numbers = itertools.count(90_000_000)
        self._lock = threading.Lock()

    def strand(self) -> list[Step] | None:
        """Return the next strand; None at the end."""
        with self._lock:
            number = next(self._count)
            if number >= self._strands:
                return None
            if number in self._poison:
                return [self._step(number, self._poison[number])]
            return self._traffic.strand()

    def _step(self, number: int, kind: str) -> Step:
        patient: Patient = self._traffic.patients[number % len(self._traffic.patients)]
        carried = with_(document(next(self._numbers), patient, VALMONT, "imaging"), type=TYPES[kind])
        identifier = f"POISON-{kind}-{number}"
        return Step(
            id=identifier,
            # What only blocks is applied in the end.
            kind="add" if kind == "block" else "poison",
            strand=1_000_000 + number,
            patient=patient.ins,
            establishment=VALMONT.id,
            document=carried.id,
            payload=travelling(deposits.mdm(identifier, carried, source=RIS_V)),
        )
