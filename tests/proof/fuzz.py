"""
Damaged input for every reader: frame, ER7, CDA, wire. Each is read, or refused by its own error, within a second; nothing else.

Mutations of the samples; a failing input is kept beside the run, named by its reader and number.
"""

import base64
import random
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.adapters.mllp.frame import FrameReader
from gateway.config.load import load, samples_directory
from gateway.mappers.cda import read as cda
from gateway.mappers.hl7v2 import ack, read
from gateway.mappers.hl7v2.header import read_header, salvage
from gateway.model.problem import Answer, Problem, Unreadable
from gateway.model.submission import Deposit, Reception, Submission
from gateway.queue import wire
from gateway.queue.errors import Unopened
from tests.harness.judge import Judgement
from tests.proof.line import Line, Run

_SECONDS: Final = 20.0
_SLOW_SECONDS: Final = 1.0
_FRAME_LIMIT: Final = 64 * 1024
_TOKENS: Final = (
    *(bytes([n]) for n in (0, 9, 10, 11, 13, 28, 0x85, 0xA0, 0xFF)),
    *(
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"\\X0D\\",
        b"\\.br\\",
        b"\\T\\",
        b'""',
        b"<",
        b">",
        b"]]>",
        b"<!DOCTYPE a>",
        b"&#0;",
        b"&x;",
    ),
    *(
        "é".encode(),
        "€".encode("iso-8859-15"),
        "\u2028".encode(),
        b"\xed\xa0\x80",
        b"99999999999999999999",
        b"-1",
        b"1e999",
        b"20260231",
    ),
)


class _Readers:
    """The readers, with what they need made once."""

    def __init__(self) -> None:
        folder = samples_directory()
        self.messages = [path.read_bytes().replace(b"\n", b"\r") for path in sorted(folder.glob("*/*.er7"))]
        self.documents = [path.read_bytes() for path in sorted((folder / "cda").iterdir())]
        settings = load(None, {}, {}).settings
        self.directory = settings.directory
        self.written = [wire.encode(each) for each in map(self._deposit, self.messages) if each is not None]
        #: Name → seeds, and what reads them.
        self.all: dict[str, tuple[list[bytes], Callable[[bytes, random.Random], None]]] = {
            "frame": ([b"".join(b"\x0b" + message + b"\x1c\r" for message in self.messages[:3])], self.frame),
            "er7": (self.messages, self.er7),
            "cda": (self.documents, self.cda),
            "wire": (self.written, self.wire),
        }

    def _deposit(self, message: bytes) -> Deposit | None:
        try:
            header, tokens = read_header(message)
            source = self.directory.source(header.application, header.facility)
            reading = read.read(tokens, header, source, self.directory, "test") if source else None
        except Unreadable:
            return None
        if reading is None or not isinstance(reading.content, Submission):
            return None
        reception = Reception(
            receipt="R",
            received_at="2026-01-01T00:00:00.000000+00:00",
            door="mllp",
            source="sil-valmont",
            establishment="chu-valmont",
            application="SIL-V",
            facility="CHU-VALMONT",
            message_id="1",
            message_type="ORU^R01",
            message_digest="",
        )
        return Deposit(reception=reception, submission=reading.content, parts=reading.parts)

    @staticmethod
    def frame(data: bytes, chance: random.Random) -> None:
        """Frames do not depend on how the bytes are cut."""
        whole, cut = FrameReader(_FRAME_LIMIT), FrameReader(_FRAME_LIMIT)
        expected = whole.feed(data)
        found, position = [], 0
        while position < len(data):
            size = chance.randint(1, 4096)
            found += cut.feed(data[position : position + size])
            position += size
            assert cut.held <= _FRAME_LIMIT + 1
        # How much a reader had seen of a frame that it gave up is its own affair.
        assert [type(each) for each in found] == [type(each) for each in expected]
        assert [getattr(each, "payload", None) for each in found] == [getattr(each, "payload", None) for each in expected]

    def er7(self, data: bytes, _: random.Random) -> None:
        """A message is read or refused, and can be answered."""
        header, problems = salvage(data), (Problem(code="INTERNAL"),)
        try:
            header, tokens = read_header(data)
            source = self.directory.source(header.application, header.facility)
            if source is not None:
                problems = read.read(tokens, header, source, self.directory, "test").problems
        except Unreadable as refused:
            problems = refused.problems
        answer = ack.render(header, Answer.AE, problems, control_id="1", at=datetime(2026, 1, 1, tzinfo=UTC), reference="R")
        assert ack.read_ack(answer).code == "AE"

    @staticmethod
    def cda(data: bytes, _: random.Random) -> None:
        """A document is read or refused."""
        try:
            cda.read(data)
        except Unreadable as refused:
            if not refused.problems:
                raise RuntimeError("refused without a reason") from refused

    @staticmethod
    def wire(data: bytes, _: random.Random) -> None:
        """What the queue holds is read or stays unopened; what is read can be written again."""
        try:
            deposit = wire.decode(data)
        except Unopened:
            return
        assert wire.decode(wire.encode(deposit)) == deposit


def mutated(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Return bytes with a few wounds; those of a document inside a message are inflicted before its base64."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at, size = chance.randrange(len(data) + 1), min(chance.choice((1, 1, 2, 8, 64, 1024)), len(data))
        match chance.randrange(7):
            case 0:
                data = data[:at] + data[at + size :]
            case 1:
                data = data[:at] + chance.choice(_TOKENS) * chance.choice((1, 1, 1, 2, 50)) + data[at:]
            case 2:
                data = data[:at] + chance.choice(_TOKENS) + data[at + size :]
            case 3:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 4:
                data = data[:at] + data[at : at + size] * chance.choice((2, 3, 20)) + data[at + size :]
            case 5:
                other = chance.choice(others)
                start = chance.randrange(len(other))
                data = data[:at] + other[start : start + size] + data[at:]
            case _:
                data = _inside(data, chance, others)
    return data


def _inside(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    head, found, rest = data.partition(b"^Base64^")
    if not found:
        return data[: chance.randrange(len(data) + 1)]
    encoded, bar, tail = rest.partition(b"|")
    try:
        document = base64.b64decode(encoded)
    except ValueError:
        return data
    wounded = mutated(document, chance, others) if document else document
    return head + found + base64.b64encode(wounded) + bar + tail


def fuzz(folder: Path, seed: int, *, until: float, seconds: float = _SECONDS) -> Run:
    """
    Feed damaged input to every reader in turn.

    Args:
        folder: Takes the inputs that fail.
        seed: Decides every input.
        until: `time.monotonic` at which to stop.
        seconds: How long, at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chance, readers, found = random.Random(seed), _Readers(), Judgement()
    failures: list[str] = []
    begun = time.monotonic()
    stop = min(until, begun + seconds)
    while time.monotonic() < stop and len(failures) < 10:
        for name, (seeds, reader) in readers.all.items():
            data = mutated(chance.choice(seeds), chance, seeds)
            found.attempt += 1
            before = time.thread_time()
            try:
                reader(data, random.Random(found.attempt))
                spent = time.thread_time() - before
                failure = f"{spent:.1f} s" if spent > _SLOW_SECONDS else ""
            except Exception:
                failure = traceback.format_exc()
            if failure:
                kept = folder / f"{name}-{found.attempt}.bin"
                kept.write_bytes(data)
                failures.append(f"{name}, input {found.attempt} of seed {seed}, kept as {kept}: {failure}")
    return Run(judgement=found, failures=failures, seconds=time.monotonic() - begun)


#: The release asks for so many of each reader.
_READERS: Final = 4

LINES: Final = (
    Line(
        name="FUZZ",
        what="damaged frames, messages, documents and queue bytes: read or refused, nothing else",
        unit="inputs",
        night=_READERS * 5_000_000,
        share=1,
        least_seconds=2,
        run=lambda folder, seed, _, end: fuzz(folder, seed, until=end),
        units=lambda run: run.judgement.attempt,
        counted=False,
    ),
)
