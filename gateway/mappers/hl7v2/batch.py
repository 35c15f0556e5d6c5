"""
Several messages in one payload: `[FHS] { [BHS] { MSH… } [BTS] } [FTS]`, cut before anything is read, and the answer to it.

A batch is taken whole or not at all as far as its envelope goes: what its trailers say is checked before the first message is
looked at. Then each message stands for itself.

Source: HL7 v2.5 § 2.10.3, § 2.15.1 to 2.15.4.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final, NoReturn, Self

import msgspec

from gateway.mappers.hl7v2 import charset
from gateway.mappers.hl7v2.dialect import escaped
from gateway.mappers.hl7v2.header import HEAD_BYTES, LONGEST_CONTROL_ID, Header, salvage
from gateway.mappers.hl7v2.lines import first_line, lines_of
from gateway.model.base import Model
from gateway.model.place import Place, er7_path
from gateway.model.problem import Problem, Unreadable
from gateway.model.when import PARIS

#: As many messages of one payload are taken.
MOST_MESSAGES: Final = 1000
#: A count of a trailer has no more digits.
_LONGEST_COUNT: Final = 9
#: FHS-11 and BHS-11, the control id: where MSH has its processing id, one of the fields that `salvage` keeps whole.
_CONTROL_ID: Final = 11
_ADDRESSES: Final = (3, 4, 5, 6)
_ENVELOPE: Final = frozenset({b"FHS", b"BHS", b"BTS", b"FTS"})
_OPENING: Final = (b"FHS", b"BHS")


class Group(Model, frozen=True, kw_only=True):
    """The messages of one batch."""

    #: What BHS says; None where the messages stand without BHS and BTS.
    head: Header | None = None
    messages: tuple[bytes, ...] = ()


class Bundle(Model, frozen=True, kw_only=True):
    """A payload of several messages, cut."""

    #: What FHS says; None without FHS and FTS.
    file: Header | None = None
    groups: tuple[Group, ...] = ()

    @property
    def messages(self) -> tuple[bytes, ...]:
        """Every message, in order."""
        return tuple(message for group in self.groups for message in group.messages)

    def written_as_its_messages(self) -> Self:
        """Return the same with the character set of the first message: FHS and BHS have none of their own."""
        first = salvage(self.messages[0]) if self.messages else None
        if first is None:
            return self
        replace = msgspec.structs.replace
        groups = tuple(
            group if group.head is None else replace(group, head=replace(group.head, charset=first.charset))
            for group in self.groups
        )
        file = None if self.file is None else replace(self.file, charset=first.charset)
        return replace(self, file=file, groups=groups)


def cut(payload: bytes, most: int = MOST_MESSAGES) -> Bundle | None:
    """
    Cut a payload that holds a batch, or several messages.

    Args:
        payload: What came in one frame or body.
        most: As many messages are taken.

    Returns:
        The messages, each as it stands in the payload; None for anything else: one message, or what is none.

    Raises:
        Unreadable: BATCH_INVALID (something stands where it may not), BATCH_COUNT (a trailer says another number),
            MESSAGE_TRUNCATED (a trailer is missing: nobody knows what else is), CARDINALITY (more than `most` messages).
    """
    name = first_line(payload[:HEAD_BYTES])[1][:3]
    if name not in _OPENING and (name != b"MSH" or not (b"\rMSH" in payload or b"\nMSH" in payload)):
        return None
    cutting = _Cutting(payload, most)
    for start, line in lines_of(payload):
        cutting.take(start, line)
    return cutting.end()


class _Cutting:
    """One walk through the lines of a payload."""

    def __init__(self, payload: bytes, most: int) -> None:
        self._payload = payload
        self._most = most
        self._file: Header | None = None
        self._file_ended = False
        self._groups: list[Group] = []
        #: The batch that is open: its head (None without BHS) and where its messages begin and end.
        self._open = False
        self._head: Header | None = None
        self._messages: list[bytes] = []
        self._message: int | None = None
        self._count = 0
        self._lines = 0
        self._seen: dict[str, int] = {}

    def take(self, start: int, line: bytes) -> None:
        name = line[:3]
        self._lines += 1
        if (name != b"MSH" and name not in _ENVELOPE) or line[3:4].isalnum():
            if self._message is None:
                self._invalid(name, start, line, "a line outside every message")
            return
        self._end_message(start)
        text = name.decode("ascii")
        self._seen[text] = self._seen.get(text, 0) + 1
        if self._file_ended:
            self._invalid(name, start, line, "something after FTS")
        self._TAKES[text](self, start, line)

    def end(self) -> Bundle:
        self._end_message(len(self._payload))
        missing = "BTS" if self._in_batch else "FTS" if self._file and not self._file_ended else ""
        if missing:
            at = len(self._payload)
            place = Place(path=er7_path(missing, self._seen.get(missing, 0) + 1), start=at, end=at)
            raise Unreadable(Problem(code="MESSAGE_TRUNCATED", place=place, detail=f"no {missing}"))
        self._end_group()
        return Bundle(file=self._file, groups=tuple(self._groups)).written_as_its_messages()

    def _begin_file(self, start: int, line: bytes) -> None:
        if self._lines > 1:
            self._invalid(b"FHS", start, line, "FHS is not the first line")
        self._file = head(line)

    def _begin_group(self, start: int, line: bytes) -> None:
        if self._in_batch:
            self._invalid(b"BHS", start, line, "BHS inside a batch")
        self._end_group()
        self._open, self._head = True, head(line)

    def _end_batch(self, start: int, line: bytes) -> None:
        if not self._in_batch:
            self._invalid(b"BTS", start, line, "BTS without BHS")
        self._check(b"BTS", start, line, {len(self._messages)})
        self._end_group()

    @property
    def _in_batch(self) -> bool:
        """Whether a BHS waits for its BTS."""
        return self._open and self._head is not None

    def _begin_message(self, start: int, line: bytes) -> None:
        self._count += 1
        if self._count > self._most:
            place = Place(path=er7_path("MSH", self._count), start=start, end=start + len(line))
            raise Unreadable(Problem(code="CARDINALITY", place=place, detail=f"more than {self._most} messages"))
        self._open = True
        self._message = start

    def _end_message(self, end: int) -> None:
        if self._message is not None:
            self._messages.append(self._payload[self._message : end])
            self._message = None

    def _end_group(self) -> None:
        if self._open:
            self._groups.append(Group(head=self._head, messages=tuple(self._messages)))
        self._open, self._head, self._messages = False, None, []

    def _end_file(self, start: int, line: bytes) -> None:
        name = b"FTS"
        if self._file is None:
            self._invalid(name, start, line, "FTS without FHS")
        if self._in_batch:
            self._invalid(name, start, line, "FTS inside a batch")
        self._end_group()
        written = sum(group.head is not None for group in self._groups)
        # Without any BHS the number of batches is nobody's: one, or each message for itself.
        self._check(name, start, line, {written} if written else {len(self._groups), 1, self._count})
        self._file_ended = True

    #: What each segment of an envelope, and MSH, does.
    _TAKES: ClassVar[Mapping[str, Callable[["_Cutting", int, bytes], None]]] = {
        "FHS": _begin_file,
        "BHS": _begin_group,
        "MSH": _begin_message,
        "BTS": _end_batch,
        "FTS": _end_file,
    }

    def _check(self, name: bytes, start: int, line: bytes, expected: set[int]) -> None:
        """Compare the first field of a trailer, if it is valued, with what was counted."""
        cells = line.split(line[3:4], 2) if len(line) > 3 else [line]
        written = cells[1].strip() if len(cells) > 1 else b""
        if written in {b"", b'""'}:
            return
        if written.isdigit() and len(written) <= _LONGEST_COUNT and int(written) in expected:
            return
        text = name.decode("ascii")
        place = Place(path=er7_path(text, self._seen[text], 1), start=start + 4, end=start + 4 + len(cells[1]))
        raise Unreadable(Problem(code="BATCH_COUNT", place=place, detail=f"counted {max(expected)}"))

    def _invalid(self, name: bytes, start: int, line: bytes, detail: str) -> NoReturn:
        text = name.decode("ascii", "replace")
        known = text in self._seen and text.encode("ascii") in {*_ENVELOPE, b"MSH"}
        path = er7_path(text, self._seen[text]) if known else er7_path(*_last(self._seen))
        raise Unreadable(Problem(code="BATCH_INVALID", place=Place(path=path, start=start, end=start + len(line)), detail=detail))


def _last(seen: dict[str, int]) -> tuple[str, int]:
    """Return the segment of an envelope that stands last before a line that is none of it."""
    return next(reversed(seen.items()), ("MSH", 1))


def head(line: bytes) -> Header:
    """
    Read FHS or BHS as far as an answer needs it: addresses, time and control id.

    Args:
        line: The segment. Its first seven fields are those of MSH.
    """
    known = salvage(b"MSH" + line[3:]) or Header()
    control_id = next(iter(known.components.get(_CONTROL_ID, ())), "")
    addresses = {number: known.components[number] for number in _ADDRESSES if number in known.components}
    return Header(
        application=known.application,
        facility=known.facility,
        receiving_application=known.receiving_application,
        receiving_facility=known.receiving_facility,
        time=known.time,
        control_id=control_id,
        charset=known.charset,
        components=addresses,
    )


def salvaged(payload: bytes) -> Header | None:
    """
    Read who sends a batch that is refused: its first message's header, with the control id of the file or batch.

    Args:
        payload: Any bytes; the first `HEAD_BYTES` of them are looked at.

    Returns:
        The header; None if the payload does not begin with FHS or BHS.
    """
    readable = payload[:HEAD_BYTES]
    _, line = first_line(readable)
    if line[:3] not in _OPENING:
        return None
    own = head(line)
    for start, other in lines_of(readable):
        if other[:3] == b"BHS" and not own.control_id:
            own = msgspec.structs.replace(own, control_id=head(other).control_id)
        if other[:3] == b"MSH":
            first = salvage(readable[start:])
            if first is None:
                break
            # The answer is to the batch, in original mode whatever its messages ask for.
            return msgspec.structs.replace(
                first,
                type_code="",
                trigger="",
                structure="",
                accept_ack="",
                application_ack="",
                control_id=own.control_id or first.control_id,
            )
    return own


def render(bundle: Bundle, answers: Sequence[Sequence[bytes]], *, control_id: str, at: datetime) -> bytes | None:
    """
    Write the answer to a batch: to each BHS a BHS with the acknowledgments inside, in order.

    A file is answered by its batches, without FHS and FTS, which the standard lets out: a client of the field that sends files
    (node-hl7-client) reads only answers that begin with BHS or MSH. Messages of a file that has no BHS are answered by one batch,
    which refers to the file. To bare messages bare acknowledgments are answered, one after another.

    Args:
        bundle: What is answered.
        answers: For each group its acknowledgments, each with its segments ended by CR.
        control_id: From which the control ids of the batches are made.
        at: The time now, aware.

    Returns:
        The answer; None where there is neither an acknowledgment nor a batch to write one into.
    """
    written: list[bytes] = []
    heads = [group.head or bundle.file for group in bundle.groups]
    for number, (to, acks) in enumerate(zip(heads, answers, strict=True), 1):
        written += acks if to is None else _batch(to, acks, f"{control_id}B{number}", at)
    if not bundle.groups and bundle.file is not None:
        written += _batch(bundle.file, (), f"{control_id}B0", at)
    return b"".join(written) or None


def _batch(to: Header, acks: Sequence[bytes], control_id: str, at: datetime) -> list[bytes]:
    return [_opening("BHS", to, control_id, at), *acks, _segment(("BTS", str(len(acks))), to)]


def _opening(name: str, to: Header, control_id: str, at: datetime) -> bytes:
    addresses = (
        "^".join(escaped(each[:LONGEST_CONTROL_ID]) for each in to.components.get(number, ())) for number in (5, 6, 3, 4)
    )
    time = at.astimezone(PARIS).strftime("%Y%m%d%H%M%S%z")
    reference = escaped(to.control_id[:LONGEST_CONTROL_ID])
    return _segment((name, "^~\\&", *addresses, time, "", "", "", escaped(control_id), reference), to)


def _segment(fields: Iterable[str], to: Header) -> bytes:
    return ("|".join(fields).rstrip("|") + "\r").encode(charset.CHARSETS[to.charset], "replace")
