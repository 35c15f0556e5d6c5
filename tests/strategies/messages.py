"""HL7v2 messages for tests: the samples, changed at one place, and read as the sample configuration says."""

import base64
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from gateway.mappers.hl7v2.header import read_header
from gateway.mappers.hl7v2.read import Reading, read
from gateway.model.event import PatientEvent
from gateway.model.outcome import Rejection
from gateway.model.source import Directory, Establishment, Grant, Source
from gateway.model.submission import Submission

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
_SETTINGS: dict[str, Any] = tomllib.loads((SAMPLES / "dmp-gateway.toml").read_text(encoding="utf-8"))
DIRECTORY = Directory(
    establishments=msgspec.convert(_SETTINGS["establishments"], tuple[Establishment, ...]),
    sources=msgspec.convert(_SETTINGS["sources"], tuple[Source, ...]),
)

MDM_ADD, MDM_REPLACE, MDM_DELETE = "mdm/01-t02-radiology", "mdm/02-t10-replacement", "mdm/03-t04-deletion"
MDM_LEVEL_3 = "mdm/04-t02-level-3"
ORU_ADD, ORU_REPLACE, ORU_DELETE, ORU_TWO = (
    "oru/01-new-report",
    "oru/02-replacement",
    "oru/03-deletion",
    "oru/04-two-documents",
)
ADT_IO, ADT_INO, ADT_UPDATE = "adt/02-a01-io", "adt/01-a01-ino", "adt/06-a31-link"

INS = "284103523811464^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS"
IPP = "100001^^^CHU-VALMONT&990000018&M^PI"


class Message:
    """A message as text, changed by segment and field."""

    def __init__(self, sample: str) -> None:
        self.lines = (SAMPLES / f"{sample}.er7").read_bytes().decode("utf-8").splitlines()

    def _index(self, segment: str, occurrence: int = 1) -> int:
        found = [number for number, line in enumerate(self.lines) if line[:3] == segment]
        return found[occurrence - 1]

    def put(self, segment: str, field: int, text: str, occurrence: int = 1) -> "Message":
        """Write a field (of MSH: as HL7 counts)."""
        index = self._index(segment, occurrence)
        cells = self.lines[index].split("|")
        position = field - (segment == "MSH")
        cells += [""] * (position + 1 - len(cells))
        cells[position] = text
        self.lines[index] = "|".join(cells)
        return self

    def get(self, segment: str, field: int, occurrence: int = 1) -> str:
        cells = self.lines[self._index(segment, occurrence)].split("|")
        position = field - (segment == "MSH")
        return cells[position] if position < len(cells) else ""

    def drop(self, segment: str, occurrence: int = 1) -> "Message":
        del self.lines[self._index(segment, occurrence)]
        return self

    def add(self, line: str, before: str | None = None) -> "Message":
        self.lines.insert(len(self.lines) if before is None else self._index(before), line)
        return self

    def flag(self, code: str, written: str | None) -> "Message":
        """Set a flag, or drop its OBX."""
        for index, line in enumerate(self.lines):
            if line.startswith("OBX|") and f"|{code}^" in line:
                if written is None:
                    del self.lines[index]
                else:
                    cells = line.split("|")
                    cells[5] = written
                    self.lines[index] = "|".join(cells)
                return self
        raise KeyError(code)

    def cda(self, old: str, new: str, occurrence: int = 1) -> "Message":
        """Replace a text in the document."""
        index = self._index("OBX", occurrence)
        cells = self.lines[index].split("|")
        parts = cells[5].split("^")
        document = base64.b64decode(parts[4]).decode("utf-8")
        assert old in document, old
        parts[4] = base64.b64encode(document.replace(old, new).encode()).decode()
        cells[5] = "^".join(parts)
        self.lines[index] = "|".join(cells)
        return self

    @property
    def payload(self) -> bytes:
        return "".join(f"{line}\r" for line in self.lines).encode()


def read_message(
    message: Message | bytes,
    environment: str = "test",
    grants: frozenset[Grant] | None = None,
    directory: Directory = DIRECTORY,
) -> Reading:
    """Read a message as its source of the sample configuration, or with other grants."""
    payload = message if isinstance(message, bytes) else message.payload
    header, tokens = read_header(payload)
    source = directory.source(header.application, header.facility)
    assert source is not None
    if grants is not None:
        source = msgspec.structs.replace(source, grants=grants)
    return read(tokens, header, source, directory, environment)


def codes(reading: Reading) -> list[tuple[str, str, str]]:
    """Return code, ERR-4 and path in the message of every problem, in message order."""
    return [(p.code, p.severity.err4, p.place.outermost.path if p.place else "") for p in reading.problems]


def submission(message: Message, **how: Any) -> Submission:
    """Return the submission of a message that must give one."""
    reading = read_message(message, **how)
    assert isinstance(reading.content, Submission), codes(reading)
    return reading.content


def event(message: Message, **how: Any) -> PatientEvent:
    """Return the event of a message that must give one."""
    reading = read_message(message, **how)
    assert isinstance(reading.content, PatientEvent), codes(reading)
    return reading.content


def rejection(message: Message, **how: Any) -> Rejection:
    """Return the rejection of a message that must give one."""
    reading = read_message(message, **how)
    assert isinstance(reading.content, Rejection), type(reading.content)
    return reading.content
