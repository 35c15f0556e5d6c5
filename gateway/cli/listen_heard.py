"""What `listen` says of a message: a block for people, a line of JSON, and what many messages say together."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from gateway.cli.listen_answers import Acks, Read
from gateway.cli.listen_manner import Act, Decision
from gateway.cli.listen_zam import BusinessAck, business_ack
from gateway.cli.listen_zam import words as business_words
from gateway.cli.printable import printable
from gateway.mappers.hl7v2.charset import CHARSETS
from gateway.mappers.hl7v2.lines import lines_of
from gateway.model.when import PARIS

#: Of a message, as many segments are shown, and as many bytes of each.
_MOST_SEGMENTS: Final = 200
_LONGEST_SEGMENT: Final = 400

_STYLES: Final = {"AA": "green", "CA": "green", "AE": "red", "CE": "red", "AR": "yellow", "CR": "yellow"}


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of ``listen --json``."""

    #: ``127.0.0.1:40123``, as `send --to` takes it.
    listening: str
    host: str
    port: int
    tls: bool


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One message that came: a further line of ``listen --json``. Its content is in it only with ``--verbose``."""

    #: In this run, from 1.
    number: int
    received_at: datetime
    #: Address and port of the sender.
    peer: str
    #: Which connection of this run, from 1.
    connection: int
    #: MSH-9, ``ORU^R01``; empty if it cannot be read.
    type: str
    #: MSH-10.
    control_id: str
    #: Bytes without framing.
    size: int
    #: What was done: `answered`, `left` (no answer, the connection stays), `dropped` (the connection was closed instead).
    deed: str
    #: MSA-1; null if there was no answer.
    answer: str | None
    #: Why it cannot be read, or is warned of: the gateway's problem codes.
    codes: tuple[str, ...] = ()
    #: What a ZAM says.
    business_ack: BusinessAck | None = None
    #: Name of the file that it is kept in.
    file: str | None = None
    #: With ``--verbose``: its segments, long ones cut.
    segments: tuple[str, ...] = ()


def heard(
    found: Read,
    decision: Decision,
    acks: Acks,
    *,
    number: int,
    at: datetime,
    peer: str,
    connection: int,
    payload: bytes,
    file: str | None,
    verbose: bool,
) -> Heard:
    """Return the line of a message: what came, and what is done about it."""
    header = found.header
    deeds = {Act.NEVER: "left", Act.DROP: "dropped"}
    ack = None
    if header is not None and found.message is not None and header.type_code == "ZAM":
        ack = business_ack(header.trigger, found.message)
    return Heard(
        number=number,
        received_at=at,
        peer=peer,
        connection=connection,
        type=header.message_type if header else "",
        control_id=header.control_id if header else "",
        size=len(payload),
        deed=deeds.get(decision.act, "answered" if acks.payloads else "left"),
        answer=acks.code,
        codes=tuple(dict.fromkeys(problem.code for problem in found.problems)),
        business_ack=ack,
        file=file,
        segments=tuple(segments(payload, header.charset if header else "")) if verbose else (),
    )


def words(line: Heard) -> Iterator[tuple[str, str]]:
    """Yield the block of a message, each line with its style."""
    what = f"{printable(line.type) or 'no HL7v2 message'}  {printable(line.control_id) or 'without MSH-10'}"
    done = {"dropped": "connection closed without an answer", "left": "no answer"}.get(line.deed, line.answer or "")
    time = line.received_at.astimezone(PARIS).strftime("%H:%M:%S")
    kept = f"  kept as {line.file}" if line.file else ""
    style = _STYLES.get(line.answer or "", "magenta")
    yield f"{time}  {what}  {line.size:,} bytes  from {line.peer}  → {done}{kept}", f"bold {style}"
    if line.codes:
        yield f"   {', '.join(line.codes)}", ""
    if line.business_ack is not None:
        yield from business_words(line.business_ack)
    for segment in line.segments:
        yield f"      {segment}", "dim"


def segments(payload: bytes, charset: str) -> Iterator[str]:
    """
    Yield the segments of a message as they can be shown on a terminal: as they are written, no more than a screen bears.

    Args:
        payload: Any bytes.
        charset: HL7 table 0211; what it lacks is shown as `�`.
    """
    codec = CHARSETS.get(charset, "ascii")
    for number, (_, line) in enumerate(lines_of(payload)):
        if number == _MOST_SEGMENTS:
            yield "… more segments are not shown"
            return
        text = printable(line[:_LONGEST_SEGMENT].decode(codec, "replace"))
        yield text if len(line) <= _LONGEST_SEGMENT else f"{text}… ({len(line):,} bytes)"


class Tally:
    """How many messages were answered how."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.deeds: Counter[str] = Counter()
        #: Connections taken, frames that could not be received whole, connections that there was no room for.
        self.connections = 0
        self.faults = 0
        self.turned_away = 0

    def add(self, line: Heard) -> None:
        """Count one message."""
        self.deeds[line.deed] += 1
        if line.answer is not None:
            self.answers[line.answer] += 1

    def summary(self) -> str:
        """Return ``received 6: AA 4, AE 2, AR 0, left without an answer 0, dropped 0; 2 connections``."""
        codes = ["AA", "AE", "AR", *sorted(self.answers.keys() - {"AA", "AE", "AR"})]
        counts = ", ".join(f"{code} {self.answers[code]}" for code in codes)
        line = f"received {self.deeds.total()}: {counts}"
        line += f", left without an answer {self.deeds['left']}, dropped {self.deeds['dropped']}; "
        line += "one connection" if self.connections == 1 else f"{self.connections} connections"
        if self.faults:
            line += f", {self.faults} of them with bytes that are no whole frame"
        if self.turned_away:
            line += f", {self.turned_away} more turned away"
        return line
