"""What `send` takes out of a file: messages, however they were kept, and what was guessed on the way."""

import re
from itertools import pairwise
from pathlib import PurePath
from typing import Final

import msgspec

from gateway.cli.underline import header_cells
from gateway.mappers.hl7v2.charset import CHARSETS, decode, known
from gateway.mappers.hl7v2.lines import BOM, lines_of
from gateway.model.problem import Unreadable

START: Final = b"\x0b"
END: Final = b"\x1c\r"

#: What may stand around a message: the start of a frame is a blank for Python, and is none.
_BLANKS: Final = b" \t\r\n"

#: Headers and trailers of a batch: of no use to one message in one frame.
_BATCH: Final = frozenset({b"FHS", b"BHS", b"BTS", b"FTS"})
_FRAME: Final = re.compile(rb"\x0b([^\x0b]*?)(?:\x1c\r?|(?=\x0b)|\Z)", re.DOTALL)
_HEADER: Final = re.compile(rb"\rMSH[^A-Za-z0-9\r]")
_BEFORE: Final = "before the first MSH there is something else, sent with it"


class NotSendable(Exception):
    """There is nothing to send, or it cannot be written as asked; the text says why."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One message to be sent."""

    #: As named on the command line.
    file: str
    #: Among the messages of the file, from 1.
    index: int
    #: The message without MLLP framing, segments ended by CR unless `raw`.
    payload: bytes
    #: Every byte to be sent, where the file is sent byte for byte.
    raw: bytes | None = None

    @property
    def wire(self) -> bytes:
        """The bytes that travel."""
        return START + self.payload + END if self.raw is None else self.raw

    @property
    def is_closed(self) -> bool:
        """Whether the bytes end as a frame ends; if not, only the end of the connection tells that no more will come."""
        return self.raw is None or self.raw.endswith(END)

    @property
    def control_id(self) -> str:
        """MSH-10, empty if it cannot be found."""
        return self.header(10)

    @property
    def accepts_first(self) -> bool:
        """Whether an accept acknowledgment (CA) is followed by another answer. Source: HL7 v2.5, MSH-15, MSH-16."""
        return self.header(16) not in {"", "NE"}

    def header(self, number: int) -> str:
        """Return a field of MSH from MSH-3 on, as written."""
        _, cells = header_cells(self.payload)
        return cells[number - 1].strip().decode("utf-8", "replace") if len(cells) >= number else ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of a file, and in words how they were found."""

    messages: tuple[Outgoing, ...]
    words: str


def read(file: str, content: bytes, *, one_frame: bool = False) -> Found:
    """
    Find the messages of a file.

    A file named `.mllp` is sent byte for byte, cut after each end of frame. Any other holds framed messages (0B … 1C 0D), or
    messages that each begin with an MSH line; LF and CRLF become CR.

    Args:
        file: Its name, for the reader and for the `.mllp` at its end.
        content: Its bytes.
        one_frame: Take all of it for one message, whatever it holds.

    Returns:
        At least one message, and what was guessed.

    Raises:
        NotSendable: the file is empty.
    """
    if not content.strip(_BLANKS):
        raise NotSendable(f"{file} is empty")
    if PurePath(file).suffix.lower() == ".mllp":
        return _byte_for_byte(file, content)
    notes: list[str] = []
    if one_frame:
        bodies = [content]
    elif content.lstrip(_BLANKS).startswith(START):
        bodies = _framed(content, notes)
    else:
        bodies = [content]
    payloads: list[bytes] = []
    for body in bodies:
        text = _with_carriage_returns(body, notes)
        payloads += [text] if one_frame else _messages(text, notes)
    if not payloads:
        raise NotSendable(f"{file} holds no message")
    if not any(header_cells(payload)[0] for payload in payloads):
        notes.append("no MSH in it, sent as it is")
    count = "all of it as one frame" if one_frame else _count(len(payloads))
    messages = tuple(Outgoing(file=file, index=number, payload=payload) for number, payload in enumerate(payloads, 1))
    return Found(messages=messages, words=", ".join((count, *dict.fromkeys(notes))))


def with_charset(message: Outgoing, name: str) -> Outgoing:
    """
    Write a message in another character set, MSH-18 with it.

    Args:
        message: Not one that is sent byte for byte.
        name: Of HL7 table 0211, one that the gateway handles.

    Returns:
        The message in that character set; documents inside it, in base64, stay as they are.

    Raises:
        NotSendable: the message is not in the character set that it declares, or has characters that the new one lacks.
    """
    wanted = known(name)
    if wanted is None:
        raise NotSendable(f"{name} is no character set that is handled: {', '.join(CHARSETS)}")
    where = f"message {message.index} of {message.file}"
    try:
        codec = decode(message.payload, message.header(18).split("~")[0]).codec
    except Unreadable as unreadable:
        raise NotSendable(f"{where} cannot be read in its own character set ({unreadable})") from None
    try:
        payload = message.payload.decode(codec).encode(CHARSETS[wanted])
    except UnicodeEncodeError as error:
        lacking = f"U+{ord(error.object[error.start]):04X}"
        raise NotSendable(f"{wanted} has no {lacking}, which {where} needs") from None
    return msgspec.structs.replace(message, payload=_with_header(payload, 18, wanted.encode("ascii")))


def with_control_id(message: Outgoing, suffix: str) -> Outgoing:
    """Return the message with the suffix at the end of its MSH-10."""
    _, cells = header_cells(message.payload)
    own = cells[9] if len(cells) > 9 else b""
    return msgspec.structs.replace(message, payload=_with_header(message.payload, 10, own + suffix.encode("ascii")))


def _with_header(payload: bytes, number: int, value: bytes) -> bytes:
    """Write one field of the MSH line, fields before it added where they are missing."""
    separator, cells = header_cells(payload)
    if not separator:
        return payload
    start = next(offset for offset, line in lines_of(payload) if line.startswith(b"MSH"))
    end = start + len(separator.join(cells))
    cells += [b""] * (number - len(cells))
    cells[number - 1] = value
    return payload[:start] + separator.join(cells) + payload[end:]


def _byte_for_byte(file: str, content: bytes) -> Found:
    """Cut after each end of frame; joined, the pieces are the file again."""
    pieces = [piece for piece in re.split(rb"(?<=\x1c\r)", content) if piece]
    messages = tuple(
        Outgoing(file=file, index=number, payload=piece.removesuffix(END).lstrip(START), raw=piece)
        for number, piece in enumerate(pieces, 1)
    )
    words = f"{_count(len(pieces), 'frame')}, sent byte for byte"
    if not messages[-1].is_closed:
        words += "; the last one has no end (1C 0D), the connection is closed for writing after it"
    return Found(messages=messages, words=words)


def _framed(content: bytes, notes: list[str]) -> list[bytes]:
    notes.append("MLLP frames")
    if not content.rstrip(b"\r\n").endswith(b"\x1c"):
        notes.append("the last frame has no end (1C 0D), one was put there")
    return [body for body in _FRAME.findall(content) if body.strip(_BLANKS)]


def _with_carriage_returns(body: bytes, notes: list[str]) -> bytes:
    """Return the text with CR at the end of every line, the last one too, and say what was changed."""
    text = body.removeprefix(BOM)
    if len(text) < len(body):
        notes.append("the byte order mark left out")
    crlf = text.count(b"\r\n")
    lf = text.count(b"\n") - crlf
    if crlf:
        notes.append("CRLF line ends turned into CR")
    if lf:
        notes.append("LF line ends turned into CR")
    if crlf or lf:
        text = text.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    return text.strip(b"\r") + b"\r"


def _messages(text: bytes, notes: list[str]) -> list[bytes]:
    """Cut before each MSH line, without the lines of a batch; what stands before the first stays with it."""
    if any(text.startswith(name) or b"\r" + name in text for name in _BATCH):
        notes.append("headers and trailers of the batch left out")
        text = b"".join(line + b"\r" for line in text.split(b"\r") if line and line[:3] not in _BATCH)
    # Searched with the CR in front: a pattern that begins with plain bytes passes quickly over a large document.
    starts = [found.start() for found in _HEADER.finditer(b"\r" + text)]
    if starts and starts[0]:
        notes.append(_BEFORE)
        starts[0] = 0
    bounds = [*(starts or [0]), len(text)]
    pieces = (text[begin:end].strip(b"\r") for begin, end in pairwise(bounds))
    return [piece + b"\r" for piece in pieces if piece]


def _count(number: int, what: str = "message") -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"
