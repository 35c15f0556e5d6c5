"""What is sent: MDM messages with a CDA of level 1, small or with a large PDF in it, for invented patients."""

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from gateway.config.load import samples_directory
from gateway.model.event import Consent, RecordOpening
from gateway.model.patient import PatientId, Traits
from gateway.store.port import Store
from tests.strategies import records

# The recipe of the samples is a folder of scripts: it is found by its path.
sys.path.insert(0, str(samples_directory()))

from recipe import deposits, documents, er7, people

#: Patients with an open record; a message is for each in turn, so that every partition of the queue has its share.
PATIENTS: Final = 64
_LATER: Final = datetime.max.replace(tzinfo=UTC)
#: Characters of one byte each; of so many kinds that a compressor finds little in them, as in a real PDF.
_LETTERS: Final = [chr(code) for code in (*range(0x21, 0x7F), *range(0xA1, 0x100)) if chr(code) not in "()\\"]
_LINE: Final = 100


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A size of message."""

    name: str
    #: Bytes of text in the PDF.
    pdf_bytes: int
    #: Of ids and of MSH-10: no two kinds share a document.
    series: int


SMALL: Final = Kind(name="MDM, CDA of 20 kB", pdf_bytes=10_300, series=1)
LARGE: Final = Kind(name="MDM, PDF of 400 kB", pdf_bytes=398_000, series=2)


def patient(number: int) -> people.Patient:
    """Return an invented patient."""
    return replace(people.ADELE, number=f"28410352381{number % 100:02}", local={"chu-valmont": f"77{number:04}"}, key="")


def made(kind: Kind, count: int, first: int) -> list[bytes]:
    """
    Return messages, each with a document, a set and an MSH-10 of its own.

    Args:
        kind: Which.
        count: How many.
        first: Number of the first one; no number is used twice in a store.
    """
    lines = _lines(kind.pdf_bytes)
    found = []
    for number in range(first, first + count):
        whose = patient(number % PATIENTS)
        one = replace(documents.RADIO_1, number=900_000_000 + kind.series * 10_000_000 + number, patient=whose, lines=lines)
        found.append(er7.message(deposits.mdm(f"B{kind.series}-{number}", one)).replace(b"\n", b"\r"))
    return found


def open_records(store: Store) -> None:
    """Open the record of every patient."""
    for number in range(PATIENTS):
        whose = patient(number)
        ins = PatientId(value=whose.ins, authority=people.INS_TEST_ROOT, type="INS")
        consent = Consent(collected_by="bench", collected_at=datetime.now(UTC).isoformat(), place="accueil")
        opening = RecordOpening(identifiers=(ins,), traits=Traits(sex=whose.sex), channel="desk", consent=consent)
        taken = records.reception(f"open-{number}", datetime.now(UTC) - timedelta(seconds=1), message_type="record open")
        store.submit(taken, opening, _LATER)


def framed(messages: Sequence[bytes], path: Path) -> Path:
    """Write messages as MLLP frames into a file."""
    path.write_bytes(b"".join(b"\x0b" + message + b"\x1c\r" for message in messages))
    return path


def _lines(size: int) -> tuple[str, ...]:
    chance = random.Random(size)
    return tuple("".join(chance.choices(_LETTERS, k=_LINE)) for _ in range(max(1, size // (_LINE + 9))))
