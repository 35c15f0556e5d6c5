"""What is measured: messages of `samples/`, variations of them, and two large ones of the corpus where it is."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from gateway.adapters.hl7v2.arrival import arrived
from gateway.config.load import load
from gateway.demo.messages import renumbered, sample, with_document_id
from gateway.mappers.hl7v2 import read
from gateway.mappers.hl7v2.header import digest, read_header
from gateway.mappers.hl7v2.reading import Reading
from gateway.model.outcome import Rejection
from gateway.model.ports import Receipts
from gateway.model.source import Directory, Grant, Source
from gateway.model.submission import Deposit, Submission

#: ESSAI-UN ADELE of the samples.
PATIENT: Final = "284103523811464"

#: What the door is fed with: a report of 12 kB at level 3, 18 kB as a message.
REPORT: Final = "oru/01-new-report.er7"

_SAMPLES: Final = (
    ("ADT with ZFA", "adt/02-a01-io.er7"),
    ("MDM, level 1", "mdm/01-t02-radiology.er7"),
    ("ORU, level 3", REPORT),
)
_CORPUS: Final = (
    ("MDM, level 1, large", "message_MDM_CR_Radio_INIT_N1_Base64.er7"),
    ("ORU, level 3, large", "message_ORU_CR_Bio_INIT_N3_SEGUR.hl7"),
)


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A message, and the documents in it."""

    name: str
    payload: bytes
    documents: tuple[bytes, ...] = ()
    #: The base64 that they stand in.
    encoded: tuple[bytes, ...] = ()

    @property
    def title(self) -> str:
        """Its name with its size."""
        return f"{self.name}, {len(self.payload) / 1000:.1f} kB"


def directory() -> Directory:
    """Return the establishments and sources of the sample configuration."""
    return load(None, environ={}, flags={}).settings.directory


def corpus() -> Path | None:
    """Return the folder of the corpus, if it is there (`DMP_CORPUS`)."""
    named = os.environ.get("DMP_CORPUS")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "corpus"
    return folder if folder.is_dir() else None


def inputs(known: Directory) -> Iterator[Input]:
    """Give every message to be read: the samples, then those of the corpus."""
    for name, file in _SAMPLES:
        yield _input(name, sample(file), known)
    folder = corpus()
    for name, file in _CORPUS if folder else ():
        yield _input(name, (folder / "hl7v2" / file).read_bytes().replace(b"\n", b"\r"), known)


def whole(payload: bytes, known: Directory, source: Source) -> Reading:
    """Read a message from its bytes to what it asks for, as a door does."""
    header, message = read_header(payload, source.charset)
    return read.read(message, header, source, known, "test")


def source_of(payload: bytes, known: Directory) -> Source:
    """Return the source that a message names; one that may deposit for what no source of the samples sent."""
    header, _ = read_header(payload)
    depositing = next(source for source in known.sources if Grant.DEPOSIT in source.grants)
    return known.source(header.application, header.facility) or depositing


def reports(count: int, first: int = 0) -> list[bytes]:
    """Return as many reports of one patient, each with a document id, a set and an MSH-10 of its own."""
    base = sample(REPORT)
    return [renumbered(with_document_id(base, f"9{number}"), f"BENCH-{number}") for number in range(first, first + count)]


def deposits(messages: list[bytes], known: Directory, receipts: Receipts) -> list[Deposit]:
    """Return messages as the queue takes them."""
    return [_deposit(message, known, receipts) for message in messages]


def _deposit(payload: bytes, known: Directory, receipts: Receipts) -> Deposit:
    source = source_of(payload, known)
    header, _ = read_header(payload, source.charset)
    reading = whole(payload, known, source)
    if not isinstance(reading.content, Submission):
        raise TypeError("no deposit")
    at = datetime.now(UTC)
    arrival = arrived(
        door="mllp",
        at=at,
        receipt=receipts.issue(source.id, at),
        header=header,
        source=source,
        digest=digest(payload),
        size=len(payload),
    )
    return Deposit(reception=arrival.reception, submission=reading.content, parts=reading.parts)


def _input(name: str, payload: bytes, known: Directory) -> Input:
    reading = whole(payload, known, source_of(payload, known))
    if isinstance(reading.content, Rejection):
        raise TypeError(f"{name} is rejected: {', '.join(problem.code for problem in reading.problems)}")
    carriers = reading.content.carriers if isinstance(reading.content, Submission) else ()
    return Input(
        name=name,
        payload=payload,
        documents=reading.parts[1:],
        encoded=tuple(payload[carrier.start : carrier.end] for carrier in carriers),
    )
