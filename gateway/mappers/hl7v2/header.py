"""The MSH segment: who sends what, in which version and character set."""

import contextlib
import functools
import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from gateway.mappers.hl7v2 import charset
from gateway.mappers.hl7v2.dialect import DEFAULT_LIMITS, Limits
from gateway.mappers.hl7v2.lines import first_line
from gateway.mappers.hl7v2.tokens import Component, Message, Repetition, Segment
from gateway.model.base import Model
from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable

#: Source: HL7 table 0104; ANS Trans. CDA en HL7v2 2.1 (ORU 2.5, MDM 2.6), PAM (ADT 2.5).
VERSIONS: Final = frozenset({"2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"})

#: Fields that an answer repeats: addresses, processing id, version.
_ECHOED: Final = (3, 4, 5, 6, 11, 12)
#: As many fields of a damaged MSH are looked at.
_FIELDS: Final = 22

#: An MSH segment, and what stands before it, has no more bytes: whoever sends, no more is looked at to know it.
HEAD_BYTES: Final = 16 * 1024
#: As many of them are kept, cut: those of the messages that are read at the moment.
_HEADS: Final = 16
#: Source: HL7 v2.7, MSH-10.
LONGEST_CONTROL_ID: Final = 199
#: A field this short is read whole.
_SHORT: Final = 512
#: As many components of a longer field of MSH are read: XON, the largest of them, has ten.
_MOST_COMPONENTS: Final = 20
#: As many profiles (MSH-21) of a longer field are read.
_MOST_PROFILES: Final = 50
#: As many bytes of a value are salvaged: 199 characters, each escaped as one byte.
_SALVAGED_BYTES: Final = 1024
#: For the segment alone, of which `HEAD_BYTES` are the limit.
_UNLIMITED: Final = Limits(fields=HEAD_BYTES, repetitions=HEAD_BYTES, components=HEAD_BYTES, subcomponents=HEAD_BYTES)


class Header(Model, frozen=True, kw_only=True):
    """What MSH says, decoded and unescaped."""

    #: MSH-3, component 1.
    application: str = ""
    #: MSH-4, component 1.
    facility: str = ""
    #: MSH-5, component 1.
    receiving_application: str = ""
    #: MSH-6, component 1.
    receiving_facility: str = ""
    #: MSH-7, as written.
    time: str = ""
    #: MSH-9.1 (``MDM``).
    type_code: str = ""
    #: MSH-9.2 (``T02``).
    trigger: str = ""
    #: MSH-9.3 (``MDM_T02``), often absent before version 2.3.1.
    structure: str = ""
    #: MSH-10, as written.
    control_id: str = ""
    #: MSH-11.1.
    processing_id: str = ""
    #: MSH-12.1.
    version: str = ""
    #: MSH-15 and MSH-16: both empty is the original acknowledgment mode.
    accept_ack: str = ""
    application_ack: str = ""
    #: MSH-17.
    country: str = ""
    #: Character set in force (HL7 table 0211), whether MSH-18 said so or not.
    charset: str = charset.ASCII
    #: MSH-21, each repetition with its components trimmed (``2.1^CISIS_CDA_HL7_V2``).
    profiles: tuple[str, ...] = ()
    #: All components of the fields that an answer repeats: MSH-3, 4, 5, 6, 11 and 12.
    components: Mapping[int, tuple[str, ...]] = {}
    #: Warnings met while reading it.
    problems: tuple[Problem, ...] = ()

    @property
    def message_type(self) -> str:
        """Type and trigger, ``MDM^T02``; the type alone where no trigger was written."""
        return f"{self.type_code}^{self.trigger}" if self.trigger else self.type_code


def read_header(
    payload: bytes, default_charset: str | None = None, *, forced: bool = False, limits: Limits = DEFAULT_LIMITS
) -> tuple[Header, Message]:
    """
    Read a message as far as its header.

    Args:
        payload: One message without MLLP framing.
        default_charset: What the source means by an empty MSH-18 (HL7 table 0211), if that is configured.
        forced: Whether it is read by that whatever MSH-18 says.
        limits: How much of each kind is taken.

    Returns:
        The header, with its warnings, and the message cut into pieces.

    Raises:
        Unreadable: MSH_ABSENT, SEPARATORS_INVALID, SEGMENT_INVALID, MESSAGES_SEVERAL, CARDINALITY, CHARSET_UNKNOWN,
            CHARSET_INVALID, UNSTORABLE_TEXT; FIELD_INVALID for an MSH longer than `HEAD_BYTES`, or an MSH-10 than
            `LONGEST_CONTROL_ID`; FIELD_REQUIRED for each of MSH-9, 10 and 12; VERSION_UNSUPPORTED.
    """
    header, message = read_head(payload, default_charset, forced=forced, limits=limits)
    missing = [
        Problem(code="FIELD_REQUIRED", place=message.header.place(number))
        for number, value in ((9, header.type_code), (10, header.control_id.strip()), (12, header.version))
        if not value
    ]
    if missing:
        raise Unreadable(*missing)
    if len(header.control_id) > LONGEST_CONTROL_ID:
        place = message.header.place(10)
        raise Unreadable(Problem(code="FIELD_INVALID", place=place, detail=f"longer than {LONGEST_CONTROL_ID} characters"))
    if header.version not in VERSIONS:
        raise Unreadable(Problem(code="VERSION_UNSUPPORTED", place=message.header.place(12)))
    return header, message


def read_head(
    payload: bytes, default_charset: str | None = None, *, forced: bool = False, limits: Limits = DEFAULT_LIMITS
) -> tuple[Header, Message]:
    """
    Read a message as `read_header` does, without asking for any field or version: what an answer or a sample needs.

    Raises:
        Unreadable: as `read_header`, FIELD_REQUIRED, VERSION_UNSUPPORTED and the length of MSH-10 apart.
    """
    head = _head(payload)
    if head is None:
        # What stands there instead is for the reader to say: a batch, or nothing of ours.
        Message.read(payload[:HEAD_BYTES], "ascii")
        raise Unreadable(Problem(code="MSH_ABSENT"))
    declared = head.field(18).repetition(1).component(1)
    decoded = charset.decode(payload, declared.text, default_charset, head.place(18), forced=forced)
    message = Message.read(payload, decoded.codec, limits)
    if _is_plain(head):
        return msgspec.structs.replace(_salvaged(head), charset=decoded.charset, problems=decoded.problems), message
    return _header(message.header, lambda part: part.text, decoded.charset, decoded.problems), message


def salvage(payload: bytes) -> Header | None:
    """
    Read what can be read of the MSH segment of a message that was refused, or whose sender is not known yet.

    Args:
        payload: Any bytes; the first `HEAD_BYTES` of them are looked at.

    Returns:
        The header, with nothing required and nothing checked; None if there is no MSH segment. Never raises.
    """
    readable = payload[:HEAD_BYTES]
    head = _head_or_none(readable)
    if head is None:
        readable = _with_usual_separators(readable)
        head = _head_or_none(readable)
    if head is None:
        return None
    declared = charset.known(_lenient(head.field(18).repetition(1).component(1)))
    if declared is not None and charset.CHARSETS[declared] != head.dialect.codec:
        with contextlib.suppress(Unreadable):
            head = Message.read(readable[: head.end], charset.CHARSETS[declared], _UNLIMITED).header
    return msgspec.structs.replace(_salvaged(head), charset=declared or charset.ASCII)


def digest(payload: bytes) -> str:
    """
    Return the SHA-256 (hexadecimal) of a message without the value of MSH-7: a resend has a new time and the same content.

    Args:
        payload: The message without MLLP framing; all of it counts where MSH cannot be read.

    Source: D-6.
    """
    head = _head_or_none(payload)
    if head is None:
        return hashlib.sha256(payload).hexdigest()
    time = head.field(7)
    view = memoryview(payload)
    summed = hashlib.sha256(view[: time.start])
    summed.update(view[time.end :])
    return summed.hexdigest()


def _head(payload: bytes) -> Segment | None:
    """Return the MSH segment alone, read before its character set is known: in UTF-8 if it can be, else in ISO 8859-15."""
    start, line = first_line(payload[:HEAD_BYTES])
    if not line.startswith(b"MSH"):
        return None
    if start + len(line) == HEAD_BYTES and payload[HEAD_BYTES : HEAD_BYTES + 1] not in {b"", b"\r", b"\n"}:
        path = charset.place_of(payload[:HEAD_BYTES], HEAD_BYTES - 1).path
        place = Place(path=path, start=start, end=HEAD_BYTES)
        raise Unreadable(Problem(code="FIELD_INVALID", place=place, detail=f"MSH is longer than {HEAD_BYTES} bytes"))
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        codec = charset.CHARSETS[charset.LATIN9]
    else:
        codec = charset.CHARSETS[charset.UTF8]
    return _read_head(payload[: start + len(line)], codec)


@functools.lru_cache(maxsize=_HEADS)
def _read_head(head: bytes, codec: str) -> Segment:
    """Return an MSH segment, cut once for all who ask for it: to know who sends, to hash, to read the rest."""
    return Message.read(head, codec, _UNLIMITED).header


@functools.lru_cache(maxsize=_HEADS)
def _salvaged(head: Segment) -> Header:
    return _header(head, _lenient, charset.ASCII, ())


def _is_plain(head: Segment) -> bool:
    """Tell whether an MSH reads the same whoever reads it: nothing in it is escaped, cut off, or of one character set."""
    line = head.raw
    usual = len(line) <= _SALVAGED_BYTES and line.isascii() and line.decode("ascii").isprintable()
    return usual and line.count(head.dialect.escape) == 1


def _head_or_none(payload: bytes) -> Segment | None:
    try:
        return _head(payload)
    except Unreadable:
        return None


def _with_usual_separators(payload: bytes) -> bytes:
    r"""Return the first fields of MSH with ``^~\&`` put in the place of MSH-2; nothing if not even MSH-1 can be used."""
    _, line = first_line(payload)
    separator = line[3:4]
    if not line.startswith(b"MSH") or not separator.isascii() or separator.isalnum() or separator in b'^~\\& "':
        return b""
    return separator.join([b"MSH", b"^~\\&", *line.split(separator, _FIELDS)[2:_FIELDS]])


def _lenient(part: Component) -> str:
    raw = part.raw[:_SALVAGED_BYTES]
    try:
        text = part.segment.dialect.text(raw)
    except UnicodeDecodeError:
        text = raw.decode("ascii", "replace")
    return text if text.isprintable() else "".join(filter(_is_shown, text))


def _is_shown(character: str) -> bool:
    """Tell controls from text: a no-break space is text."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _components(repetition: Repetition) -> tuple[Component, ...]:
    """Return the components, as many as are read where there may be thousands."""
    if len(repetition.raw) <= _SHORT:
        return repetition.components
    return tuple(map(repetition.component, range(1, _MOST_COMPONENTS + 1)))


def _header(msh: Segment, text: Callable[[Component], str], name: str, problems: tuple[Problem, ...]) -> Header:
    split: dict[int, tuple[Component, ...]] = {}

    def pieces(number: int) -> tuple[Component, ...]:
        """Return the components of the first repetition of a field; it is cut once."""
        found = split.get(number)
        if found is None:
            found = split[number] = _components(msh.field(number).repetition(1))
        return found

    def components(found: tuple[Component, ...]) -> tuple[str, ...]:
        return tuple(text(part) for part in found)

    def value(number: int, component: int = 1) -> str:
        found = pieces(number)
        return text(found[component - 1]) if len(found) >= component else ""

    written = msh.field(21)
    repeated = written.repetitions if len(written.raw) <= _SHORT else map(written.repetition, range(1, _MOST_PROFILES + 1))
    profiles = ("^".join(part.strip() for part in components(_components(each))).rstrip("^") for each in repeated)
    return Header(
        application=value(3),
        facility=value(4),
        receiving_application=value(5),
        receiving_facility=value(6),
        time=value(7),
        type_code=value(9).strip(),
        trigger=value(9, 2).strip(),
        structure=value(9, 3).strip(),
        control_id=value(10),
        processing_id=value(11).strip(),
        version=value(12).strip(),
        accept_ack=value(15).strip(),
        application_ack=value(16).strip(),
        country=value(17).strip(),
        charset=name,
        profiles=tuple(profile for profile in profiles if profile),
        components={number: components(pieces(number)) for number in _ECHOED},
        problems=problems,
    )
