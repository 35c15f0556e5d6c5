"""
Synthetic traffic: who appears, what is sent, in which order it makes sense. All of it follows from a seed.

A *strand* is what one sender sends one after the other: a document and its replacement and deletion, or one statement of a
patient. Strands go side by side over any connections. Statements of one patient at one establishment carry consecutive dates
(`rank`), so that a judge knows which counts without asking a clock.
"""

import itertools
import random
import sys
import threading
from dataclasses import dataclass, field
from dataclasses import replace as with_
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.demo.messages import renumbered, sample

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "samples"))

from recipe import deposits
from recipe.adt import adt
from recipe.cda import Document, Result
from recipe.documents import BIOLOGY, IMAGING, LETTER
from recipe.people import AUBIER, BIOLOGIST, INS_TEST_ROOT, INTERNIST, RADIOLOGIST, VALMONT, Establishment, Patient
from recipe.segments import DPI_A, GAM_A, GAM_V, RIS_V, SIL_V, Source, local_cx

__all__ = [
    "AUBIER",
    "BIOLOGIST",
    "DPI_A",
    "INS_TEST_ROOT",
    "RIS_V",
    "SIL_V",
    "VALMONT",
    "Establishment",
    "Patient",
    "Source",
    "Step",
    "Traffic",
    "deposits",
    "document",
    "patients",
]

#: What marks a document: eight digits follow, those of its number.
MARK: Final = "CNRYMARK"

#: Statements are dated from here on, one second a rank: long before any reception.
_FIRST_STATEMENT: Final = datetime(2025, 1, 1, 8, 0, 0)  # noqa: DTZ001 - a local time, as an ADT carries it

#: Messages that the door answers AE, whatever the record.
_HOSTILE: Final = (
    "bad/01-ins-absent.er7",
    "bad/02-ins-key.er7",
    "bad/04-pid-cda-differ.er7",
    "bad/07-act-incoherent.er7",
    "bad/09-base64-invalid.er7",
    "bad/10-not-xml.er7",
    "bad/11-entity-bomb.er7",
    "bad/17-bytes-outside-charset.er7",
    "bad/19-message-type.er7",
    "adt/08-a01-foreign-authority.er7",
)

GAMS: Final = {VALMONT.id: GAM_V, AUBIER.id: GAM_A}

#: Kinds of steps that bring or take a document, and those that state something.
DEPOSITS: Final = ("add", "replace", "delete")
STATEMENTS: Final = ("oppose", "allow")


@dataclass(frozen=True, kw_only=True)
class Step:
    """
    One message.

    Attributes:
        id: MSH-10, unique in the run.
        kind: One of `DEPOSITS`, `STATEMENTS`, `hostile` (AE) or `ignored`.
        strand: Number of its strand.
        patient: INS.
        establishment: Id of the depositing or stating establishment.
        document: uniqueId of a deposit.
        rank: Place of a statement among those of its patient and establishment.
        payload: The message without framing.
    """

    id: str
    kind: str
    strand: int
    patient: str = ""
    establishment: str = ""
    document: str = ""
    rank: int = 0
    payload: bytes = field(default=b"", repr=False)


def patients(count: int, first: int = 0) -> list[Patient]:
    """Return invented patients with right keys; all have an IPP at both establishments."""
    return [
        Patient(
            number=f"{1 + n % 2}{50 + n % 50:02}{1 + n % 12:02}35238{n:03}",
            family=f"ESSAI-{_letters(n)}",
            given="CAMILLE",
            givens="CAMILLE ANNE",
            sex="M" if n % 2 == 0 else "F",
            born=f"19{50 + n % 50:02}{1 + n % 12:02}15",
            birthplace=("35238", "RENNES"),
            street=("9", "Rue des Essais"),
            city="VALMONT",
            postcode="35990",
            local={VALMONT.id: f"2{n:05}", AUBIER.id: f"B-{n:04}"},
        )
        for n in range(first, first + count)
    ]


def _letters(number: int) -> str:
    return "".join(chr(ord("A") + int(digit)) for digit in f"{number:04}")


def travelling(segments: list[str]) -> bytes:
    """Return segments as they travel: CR at the end of each."""
    return "".join(segment + "\r" for segment in segments).encode()


def document(number: int, patient: Patient, where: Establishment, kind: str) -> Document:
    """Return a document that is told from all others by its marked title, its text and its results."""
    of = {
        "biology": (BIOLOGY, BIOLOGIST, "biology"),
        "imaging": (IMAGING, RADIOLOGIST, "level 1"),
        "letter": (LETTER, INTERNIST, "level 1"),
    }
    type_, author, form = of[kind]
    return Document(
        name=f"d{number}",
        number=number,
        kind=form,
        type=type_,
        title=f"Compte rendu {MARK}{number:08d}",
        time="20260303160000+0100",
        patient=patient,
        author=author,
        organization=where,
        lines=(f"Texte {MARK}{number:08d}.",),
        results=(
            Result(code="2823-3", label="Potassium", value=f"{number % 9}.{number % 7}", unit="mmol/L", low="3.5", high="5.1"),
        )
        if form == "biology"
        else (),
    )


class Traffic:
    """
    An endless supply of strands; any thread may take.

    Args:
        seed: Decides everything.
        people: How many patients; a fifth of them, at least two, get half of everything.
        opposing: Share of statements among the strands; 0 for none.
        hostile: Share of messages that the door refuses.
    """

    def __init__(self, seed: int, *, people: int = 20, opposing: float = 0.25, hostile: float = 0.03) -> None:
        self._random = random.Random(seed)
        self.patients = patients(people)
        self._hot = self.patients[: max(2, people // 5)]
        self._opposing = opposing
        self._hostile = hostile
        self._numbers = itertools.count(10_000_000)
        self._ids = itertools.count(1)
        self._strands = itertools.count(1)
        self._ranks: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._prefix = f"P{seed % 100_000:05}"

    def strand(self) -> list[Step]:
        """Return the next strand."""
        with self._lock:
            drawn = self._random.random()
            number = next(self._strands)
            if drawn < self._hostile:
                return [self._refused(number)]
            if drawn < self._hostile + self._opposing:
                return [self._statement(number)]
            return self._documents(number)

    def statement(self, patient: Patient, where: Establishment, kind: str, *, provisional: bool = False) -> Step:
        """
        Return one statement of a patient: `oppose` or `allow`.

        Told under the local identifier alone, before the INS is qualified (`provisional`), it binds deposits all the same (D-1);
        the next one under VALI links both.
        """
        with self._lock:
            return self._state(next(self._strands), patient, where, kind, provisional=provisional)

    def deposit(self, patient: Patient, where: Establishment = VALMONT) -> Step:
        """Return one new document of a patient."""
        with self._lock:
            new = document(next(self._numbers), patient, where, "letter" if where is AUBIER else "biology")
            return self._deposit(next(self._strands), new, "add", where)

    def _id(self) -> str:
        return f"{self._prefix}-{next(self._ids):06}"

    def _refused(self, strand: int) -> Step:
        name, identifier = self._random.choice(_HOSTILE), self._id()
        return Step(id=identifier, kind="hostile", strand=strand, payload=renumbered(sample(name), identifier))

    def _statement(self, strand: int) -> Step:
        patient = self._random.choice(self._hot if self._random.random() < 0.5 else self.patients)
        where = VALMONT if self._random.random() < 0.8 else AUBIER
        provisional = self._random.random() < 0.25
        return self._state(strand, patient, where, self._random.choice(STATEMENTS), provisional=provisional)

    def _state(self, strand: int, patient: Patient, where: Establishment, kind: str, *, provisional: bool) -> Step:
        rank = self._ranks[patient.ins, where.id] = self._ranks.get((patient.ins, where.id), 0) + 1
        dated = (_FIRST_STATEMENT + timedelta(seconds=rank)).strftime("%Y%m%d%H%M%S")
        identifier = self._id()
        stated = {1: "ACTIF", 2: "20250101", 9: "IO" if kind == "oppose" else "INO", 10: dated}
        known = {"status": "PROV", "ids": (local_cx(patient.local[where.id], where),)} if provisional else {}
        segments = adt("A01", identifier, "20260302091500", patient, zfa=stated, movement={}, source=GAMS[where.id], **known)
        return Step(
            id=identifier,
            kind=kind,
            strand=strand,
            patient=patient.ins,
            establishment=where.id,
            rank=rank,
            payload=travelling(segments),
        )

    def _documents(self, strand: int) -> list[Step]:
        patient = self._random.choice(self._hot if self._random.random() < 0.5 else self.patients)
        kind = self._random.choices(("biology", "imaging", "letter"), (6, 3, 1))[0]
        where = AUBIER if kind == "letter" else VALMONT
        acts = self._random.choices(
            (("add",), ("add", "replace"), ("add", "delete"), ("add", "replace", "delete")), (6, 2, 1, 1)
        )[0]
        steps: list[Step] = []
        current = document(next(self._numbers), patient, where, kind)
        for act in acts:
            if act == "replace":
                number = next(self._numbers)
                current = with_(document(number, patient, where, kind), replaces=current)
            steps.append(self._deposit(strand, current, act, where))
        return steps

    def _deposit(self, strand: int, carried: Document, act: str, where: Establishment) -> Step:
        identifier = self._id()
        if carried.kind == "biology":
            segments = deposits.oru(identifier, [carried], act=act, source=SIL_V)
        else:
            segments = deposits.mdm(identifier, carried, act=act, source=DPI_A if where is AUBIER else RIS_V)
        return Step(
            id=identifier,
            kind=act,
            strand=strand,
            patient=carried.patient.ins,
            establishment=where.id,
            document=carried.id,
            payload=travelling(segments),
        )
