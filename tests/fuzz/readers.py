"""
The readers of what comes from outside, each with what it may do with any bytes: read them, or refuse them by its own error.

A reader that raises anything else, or whose result does not keep its promises, raises here.
"""

import gzip
import json
import random
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from gateway.adapters.http import body, multipart
from gateway.adapters.http.call import MediaType, Refused
from gateway.adapters.mllp.frame import FrameReader
from gateway.config.load import load, samples_directory
from gateway.mappers.cda import declared
from gateway.mappers.cda import read as cda
from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir import consent, document_bundle, outcome, provide, response, simplified
from gateway.mappers.fhir import json as fhir_json
from gateway.mappers.hl7v2 import ack, batch, read
from gateway.mappers.hl7v2.header import digest, read_header, salvage
from gateway.mappers.hl7v2.tokens import Message
from gateway.model.problem import Answer, Problem, Unreadable
from gateway.model.problems import CODES
from gateway.model.source import Grant
from gateway.model.submission import Deposit, Reception, Submission
from gateway.queue import request, seal, wire
from gateway.queue.errors import Unopened
from gateway.queue.keys import Keys, initialise

_FRAME_LIMIT: Final = 64 * 1024
_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: Where the sealed seeds lie.
_LANE: Final = "deposits.3"
_RECEIPT: Final = "R-1"

NAMES: Final = (
    *("frame", "tokens", "er7", "batch", "cda", "declared", "json", "fhir", "multipart", "gzip"),
    *("wire", "seal", "request"),
)
_BOUNDARY: Final = "b"


@dataclass(frozen=True)
class Reader:
    """One reader: where a campaign begins, what reads, and how long an input may be."""

    seeds: Sequence[bytes]
    read: Callable[[bytes], None]
    most_bytes: int
    #: Whether messages and documents are wounded as such; what is short needs the library's own mutations alone.
    wounds: bool = False


class _Standing:
    def now(self) -> datetime:
        return _AT


class Readers:
    """All readers, with what they need made once."""

    def __init__(self) -> None:
        folder = samples_directory()
        self.messages = [path.read_bytes().replace(b"\n", b"\r") for path in sorted(folder.glob("*/*.er7"))]
        self.documents = [path.read_bytes() for path in sorted((folder / "cda").iterdir())]
        self.resources = [path.read_bytes() for path in sorted((folder / "fhir").glob("*.json"))]
        self.directory = load(None, {}, {}).settings.directory
        trusted = [source for source in self.directory.sources if Grant.IDENTITY_ASSERTED in source.grants]
        self._senders = (msgspec.structs.replace(trusted[0], grants=frozenset(Grant)), self.directory.sources[0])
        self.written = [wire.encode(each) for each in map(self._deposit, self.messages) if each is not None]
        self._keys = self._made_keys()
        sealed = [seal.seal(each, keys=self._keys, lane=_LANE, receipt=_RECEIPT) for each in self.written[:3]]
        framed = b"".join(b"\x0b" + message + b"\x1c\r" for message in self.messages[:3])
        heads = [message[:400] for message in self.messages]
        self.all: Mapping[str, Reader] = {
            "frame": Reader([framed[:1024], b"\x0bMSH|^~\\&|\x1c\r\x0bMSH\x1c\x0b", b"\r\n\x0b\x1c\r"], self.frame, 1024),
            "tokens": Reader(heads, self.tokens, 4096),
            "er7": Reader(self.messages, self.er7, 64 * 1024, wounds=True),
            "batch": Reader(self._batches(), self.batch, 16 * 1024, wounds=True),
            "cda": Reader(self.documents, self.cda, 64 * 1024, wounds=True),
            "declared": Reader(self._declared(), self.declared, 4096),
            "json": Reader(self.resources, self.json, 32 * 1024, wounds=True),
            "fhir": Reader(self.resources, self.fhir, 64 * 1024, wounds=True),
            "multipart": Reader(self._forms(), self.multipart, 4096),
            "gzip": Reader([gzip.compress(b"x" * 500, mtime=0), gzip.compress(b"", mtime=0) * 3], self.gzip, 4096),
            "wire": Reader(self.written, self.wire, 32 * 1024),
            "seal": Reader(sealed, self.sealed, 32 * 1024),
            "request": Reader(self._requests(), self.request, 16 * 1024),
        }

    def any(self) -> Reader:
        """Return all readers as one: the first byte of an input chooses, so that one process comes to each."""
        readers = [self.all[name] for name in NAMES]

        def read(data: bytes) -> None:
            if data:
                readers[data[0] % len(readers)].read(data[1:])

        seeds = [bytes((number,)) + seed for number, reader in enumerate(readers) for seed in reader.seeds]
        return Reader(seeds, read, 64 * 1024, wounds=True)

    def _made_keys(self) -> Keys:
        folder = tempfile.mkdtemp(prefix="dmp-fuzz-keys-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        initialise(Path(folder) / "keys", _Standing())
        return Keys.open(Path(folder) / "keys", _Standing())

    def _read(self, message: bytes) -> "read.Reading":
        header, tokens = read_header(message)
        source = self.directory.source(header.application, header.facility) or self.directory.sources[0]
        return read.read(tokens, header, source, self.directory, "test")

    def _deposit(self, message: bytes) -> Deposit | None:
        try:
            reading = self._read(message)
        except Unreadable:
            return None
        if not isinstance(reading.content, Submission):
            return None
        return Deposit(reception=_reception(), submission=reading.content, parts=reading.parts)

    def _requests(self) -> list[bytes]:
        made = [request.ASK_ERASABLE, request.encode(request.EventReply(unavailable="STORE_UNAVAILABLE"))]
        for message in self.messages:
            try:
                reading = self._read(message)
            except Unreadable:
                continue
            if not isinstance(reading.content, Submission) and hasattr(reading.content, "statements"):
                made.append(request.encode(request.EventRequest(reception=_reception(), event=reading.content, deadline=_AT)))
            elif hasattr(reading.content, "verdict"):
                made.append(request.encode(request.Report(reception=_reception(), rejection=reading.content)))
        return made

    def _batches(self) -> list[bytes]:
        two = b"".join(message if message.endswith(b"\r") else message + b"\r" for message in self.messages[:2])
        head = b"|^~\\&|SIL-V|CHU-VALMONT|||20260101||||7\r"
        return [
            two,
            b"BHS" + head + two + b"BTS|2\r",
            b"FHS" + head + b"BHS" + head + two + b"BTS|2\rFTS|1\r",
            b"FHS" + head + b"FTS|0",
        ]

    @staticmethod
    def _declared() -> list[bytes]:
        whole = {"act": "add", "sender": {"organization": "1990000018", "organization_name": "CHU"}, "flags": ["MASQUE_PS"]}
        return [json.dumps(whole).encode(), b'{"act":"replace"}', b"{}"]

    @staticmethod
    def _forms() -> list[bytes]:
        part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\nContent-Type: text/xml\r\n\r\n<a/>\r\n'
        return [part % b"document" + part % b"submission" + b"--b--\r\n", b"--b--", b"--b\r\n\r\n--b--"]

    @staticmethod
    def frame(data: bytes) -> None:
        """Frames do not depend on how the bytes are cut."""
        whole, cut = FrameReader(_FRAME_LIMIT), FrameReader(_FRAME_LIMIT)
        expected = whole.feed(data)
        found, position, chance = [], 0, random.Random(len(data))
        while position < len(data):
            size = chance.randint(1, 256)
            found += cut.feed(data[position : position + size])
            position += size
            assert cut.held <= _FRAME_LIMIT + 1
        # How much a reader had seen of a frame that it gave up is its own affair.
        assert [type(each) for each in found] == [type(each) for each in expected]
        assert [getattr(each, "payload", None) for each in found] == [getattr(each, "payload", None) for each in expected]

    @staticmethod
    def tokens(data: bytes) -> None:
        """A message is cut and nothing of it is lost, or it is refused with a place."""
        try:
            message = Message.read(data, "utf-8")
        except Unreadable as refused:
            _explained(refused)
            return
        for segment in message.segments:
            assert data[segment.start : segment.end] == segment.raw
            for field in segment.fields:
                assert data[field.start : field.end] == field.raw
                for repetition in field.repetitions[:20]:
                    for component in repetition.components[:20]:
                        assert data[component.start : component.end] == component.raw
                        try:
                            _ = [part.text for part in component.subcomponents[:20]]
                        except Unreadable as refused:
                            _explained(refused)

    def er7(self, data: bytes) -> None:
        """A message is read or refused, and its answer holds what an answer holds: whatever was echoed adds no segment."""
        header, problems = salvage(data), (Problem(code="INTERNAL"),)
        digest(data)
        try:
            header, tokens = read_header(data)
            source = self.directory.source(header.application, header.facility) or self.directory.sources[0]
            reading = read.read(tokens, header, source, self.directory, "test")
            problems = reading.problems
            if isinstance(reading.content, Submission):
                deposit = Deposit(reception=_reception(), submission=reading.content, parts=reading.parts)
                assert wire.decode(wire.encode(deposit)) == deposit
        except Unreadable as refused:
            _explained(refused)
            problems = refused.problems
        answer = ack.render(header, Answer.AE, problems, control_id="1", at=_AT, reference="R")
        told = ack.read_ack(answer)
        assert (told.code, told.reference, len(told.errors)) == ("AE", "R", min(len(problems), ack.MOST_ERRORS))
        names = [line[:3] for line in answer.split(b"\r")]
        assert names == [b"MSH", b"MSA", *[b"ERR"] * len(told.errors), b""]
        assert not {0x0B, 0x1C, 0x0A}.intersection(answer)

    @staticmethod
    def batch(data: bytes) -> None:
        """Several messages are cut, each a piece of the payload, or refused; the answer holds one for each and nothing else."""
        batch.salvaged(data)
        try:
            bundle = batch.cut(data)
        except Unreadable as refused:
            _explained(refused)
            return
        if bundle is None:
            return
        assert all(message in data for message in bundle.messages)
        assert sum(map(len, bundle.messages)) <= len(data)
        answers = [
            [ack.render(salvage(message), Answer.AA, (), control_id="1", at=_AT) for message in group.messages]
            for group in bundle.groups
        ]
        answer = batch.render(bundle, answers, control_id="2", at=_AT) or b""
        names = [line[:3] for line in answer.split(b"\r") if line]
        assert names.count(b"MSH") == names.count(b"MSA") == len(bundle.messages)
        assert set(names) <= {b"FHS", b"BHS", b"MSH", b"MSA", b"BTS", b"FTS"}
        assert not {0x0B, 0x1C, 0x0A}.intersection(answer)

    @staticmethod
    def declared(data: bytes) -> None:
        """What is declared beside a CDA is a fact of the table, or a problem."""
        findings = Findings()
        declared.read({"dmp-act": data[:40].decode("latin-1")}, data, findings)

    @staticmethod
    def json(data: bytes) -> None:
        """A body is a tree, or refused with its places."""
        try:
            loaded = fhir_json.load(data)
        except Unreadable as refused:
            _explained(refused)
            return
        assert isinstance(loaded.tree, dict)
        assert len(loaded.problems) <= 100

    def fhir(self, data: bytes) -> None:
        """A resource is a submission, an event or a rejection, which can be told as an OperationOutcome."""
        try:
            loaded = fhir_json.load(data)
        except Unreadable as refused:
            problems = refused.problems
        else:
            name, kind = loaded.tree.get("resourceType"), loaded.tree.get("type")
            if name == "Bundle" and kind == "document":
                reader = document_bundle.read
            elif name == "DocumentReference":
                reader = simplified.read
            else:
                reader = consent.read if name == "Consent" else provide.read
            for source in self._senders:
                try:
                    found = reader(loaded, source, self.directory, "test")
                except Unreadable as refused:
                    problems = refused.problems
                    _explained(refused)
                    continue
                problems = found.problems
                if isinstance(found.content, Submission):
                    deposit = Deposit(reception=_reception(), submission=found.content, parts=found.parts)
                    assert wire.decode(wire.encode(deposit)) == deposit
        told = json.loads(response.encoded(outcome.outcome(problems)))
        assert told["resourceType"] == "OperationOutcome"

    @staticmethod
    def multipart(data: bytes) -> None:
        """The parts of a form are pieces of its body, or it is refused."""
        try:
            found = multipart.parts(data, MediaType(name="multipart/form-data", parameters={"boundary": _BOUNDARY}))
        except Refused:
            return
        assert all(part.content in data for part in found.values())
        for part in found.values():
            _ = part.media_type

    @staticmethod
    def gzip(data: bytes) -> None:
        """What is packed is unpacked up to the limit, or refused."""
        try:
            found = body.unpack(data, "gzip", 100_000)
        except Refused:
            return
        assert len(found) <= 100_000

    @staticmethod
    def cda(data: bytes) -> None:
        """A document is read or refused with its reasons."""
        try:
            cda.read(data)
        except Unreadable as refused:
            _explained(refused)

    @staticmethod
    def wire(data: bytes) -> None:
        """What the queue holds is read or stays unopened; what is read can be written again."""
        try:
            deposit = wire.decode(data)
        except Unopened:
            return
        assert wire.decode(wire.encode(deposit)) == deposit

    def sealed(self, data: bytes) -> None:
        """What no door of ours sealed opens nowhere; what opens is what was sealed."""
        try:
            label = seal.label(data)
            opened = seal.open_sealed(data, keys=self._keys, lane=_LANE, receipt=_RECEIPT)
        except Unopened:
            return
        assert opened in self.written
        assert (label.lane, label.receipt) == (_LANE, _RECEIPT)

    @staticmethod
    def request(data: bytes) -> None:
        """Requests, replies and reports are read or refused; each has its own type."""
        for decode in (request.decode_request, request.decode_reply, request.decode_report):
            try:
                made = decode(data)
            except Unopened:
                continue
            assert decode(request.encode(made)) == made


def _explained(refused: Unreadable) -> None:
    assert refused.problems, "refused without a reason"
    assert all(problem.code in CODES for problem in refused.problems)


def _reception() -> Reception:
    return Reception(
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
