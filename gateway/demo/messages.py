"""Variations of the samples: other ids, other dates, as a sender's day would bring them."""

import base64
import re
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.config.load import samples_directory

_BASE64: Final = re.compile(rb"\^Base64\^([A-Za-z0-9+/=]{400,})")
_ZFA: Final = re.compile(rb"^ZFA\|.*$", re.MULTILINE)


def sample(name: str) -> bytes:
    """
    Return a sample message as it travels: CR at the end of each segment.

    Args:
        name: Path below `samples/`, for example ``oru/01-new-report.er7``.
    """
    return (samples_directory() / name).read_bytes().replace(b"\n", b"\r")


def renumbered(message: bytes, control_id: str) -> bytes:
    """Return the message with another MSH-10."""
    head, cr, rest = message.partition(b"\r")
    fields = head.split(head[3:4])
    fields[9] = control_id.encode("ascii")
    return head[3:4].join(fields) + cr + rest


def stated_at(message: bytes, instant: datetime) -> bytes:
    """Return an ADT whose ZFA carries this instant as the date of its statements, to the second with its zone."""
    stamp = instant.strftime("%Y%m%d%H%M%S%z").encode("ascii")

    def dated(match: re.Match[bytes]) -> bytes:
        fields = match.group().rstrip(b"\r").split(b"|")
        for position in (10, 12):
            if len(fields) > position and fields[position]:
                fields[position] = stamp
        return b"|".join(fields)

    return _ZFA.sub(dated, message.replace(b"\r", b"\n")).replace(b"\n", b"\r")


def with_document_id(message: bytes, suffix: str) -> bytes:
    """
    Return a message whose document has an id, and a set, of its own.

    Args:
        message: A sample with one document in base64.
        suffix: Digits to end the document's id and setId with; TXA-12 follows.
    """
    found = _BASE64.search(message)
    if found is None:
        text = "no document in base64"
        raise ValueError(text)
    document = base64.b64decode(found.group(1))
    ids = re.findall(rb'<id root="([0-9.]+)"/>|<setId root="([0-9.]+)"', document[:4000])
    names = {name for pair in ids for name in pair if name}
    own = {name: name + b"." + suffix.encode("ascii") for name in names}
    for old, new in own.items():
        document = document.replace(b'root="' + old + b'"', b'root="' + new + b'"')
    start, end = found.span(1)
    varied = message[:start] + base64.b64encode(document) + message[end:]
    for old, new in own.items():
        varied = re.sub(rb"(\|)" + re.escape(old) + rb"(?=[|^\r])", rb"\g<1>" + new, varied)
    return varied


def framed(messages: list[bytes], path: Path) -> Path:
    """Write messages as MLLP frames into a file, for `send`."""
    path.write_bytes(b"".join(b"\x0b" + message + b"\x1c\r" for message in messages))
    return path
